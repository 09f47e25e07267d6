"""The bytes of a file of the user's: of bounded size, unpacked where zlib or gzip packed them.

What `joblib.dump(tokenizer, FILE, compress=...)` writes is unpacked too, as far as it is one of
these two; so is the header with which joblib marked its files until 0.9.
"""

import re
import zlib
from pathlib import Path

from sentido_bundle.errors import reason

from sentido_export.errors import ExportError

MOST_BYTES = 1 << 28
"""What a file may hold, packed and unpacked: 256 MB."""

_PIECE_BYTES = 1 << 20
_JOBLIB_HEADER = re.compile(rb"ZF0x[0-9a-f]{1,16}L? *")
_OTHERS = {
    b"version https://git-lfs": "is a Git LFS pointer, not the file it stands for: run git lfs"
    " pull, and give the file",
    b"BZh": "is packed with bzip2: unpack it (bunzip2) or save it again without",
    b"\xfd7zXZ": "is packed with xz: unpack it (unxz) or save it again without",
    b"]\0\0": "is packed with lzma: unpack it (unlzma) or save it again without",
    b"\x04\x22\x4d\x18": "is packed with lz4: save it again with compress=3 or without",
    b"PK\x03\x04": "is a zip file, as a .keras model is: give the file that holds the words, or a"
    " .keras with a TextVectorization by --tokenizer",
    b"\x89HDF": "is an HDF5 file, which holds a model or its weights, not a vocabulary: give it"
    " as the model",
    b"\x93NUMPY": "is a file of numpy.save, whose objects are pickled by NumPy: save the words"
    " again with json.dump(word_index, file)",
}


def read_contents(path: Path) -> bytes:
    """Read a file, unpacked. Raise ExportError for one that is too large or is something else."""
    if path.is_dir():
        raise ExportError(f"{path}: is a folder, a file is needed")
    if not path.exists():
        raise ExportError(f"{path}: does not exist")
    if not path.is_file():
        raise ExportError(f"{path}: is not a file")
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise ExportError(f"{path}: has {size:,} bytes, at most {MOST_BYTES:,} are read")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ExportError(f"{path}: cannot be read: {reason(error)}") from error
    if not data.strip(b"\0 \r\n\t"):
        raise ExportError(f"{path}: is empty: save it again, and close the file before copying it")
    for start, why in _OTHERS.items():
        if data.startswith(start):
            raise ExportError(f"{path}: {why}")
    return _unpacked(data, path)


def _unpacked(data: bytes, path: Path) -> bytes:
    header = _JOBLIB_HEADER.match(data)
    data = data[header.end() :] if header else data
    is_zlib = data[:1] == b"\x78" and int.from_bytes(data[:2], "big") % 31 == 0
    is_gzip = data.startswith(b"\x1f\x8b")
    if not is_zlib and not is_gzip:
        return data
    try:
        return b"".join(_pieces(data))
    except (zlib.error, EOFError) as error:
        raise ExportError(
            f"{path}: breaks off or is damaged where it is unpacked ({error}): copy it again"
        ) from error
    except OverflowError as error:
        raise ExportError(
            f"{path}: unpacks to more than {MOST_BYTES:,} bytes, at most these are read"
        ) from error


def _pieces(data: bytes) -> list[bytes]:
    """Unpack zlib's or gzip's format; a gzip file may have several parts, one after another."""
    pieces: list[bytes] = []
    left = MOST_BYTES
    while data.startswith((b"\x78", b"\x1f\x8b")):
        unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # 32: either format
        while not unpacker.eof:
            piece = unpacker.decompress(data, _PIECE_BYTES)
            data = unpacker.unconsumed_tail
            left -= len(piece)
            if left < 0:
                raise OverflowError
            if not piece and not data and not unpacker.eof:
                raise EOFError("its end is missing")
            pieces.append(piece)
        data = unpacker.unused_data
    return pieces
