"""Labelled texts of a folder with a folder of `.txt` files per label, the layout of aclImdb.

Files are found as `keras.utils.text_dataset_from_directory` finds them: `.txt` in any case, in
folders of any depth. Names that begin with a dot are left out, links to folders are not followed.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sentido_bundle.encodings import ENCODING_BYTES, why_not_text
from sentido_score.callbacks import Say
from sentido_score.files.locations import format_of
from sentido_score.files.names import quoted, shown
from sentido_score.format_names import TABLES
from sentido_score.formats.labels import label_of
from sentido_score.formats.texts import check
from sentido_score.options import Options

from sentido_export.errors import ExportError

_PARTS = frozenset(("train", "training", "test", "testing", "val", "valid", "validation", "dev"))
"""What folders are called that hold parts of a data set, and are no labels."""


@dataclass
class _Folder:
    """A folder and all below it."""

    path: Path
    texts: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)  # that are not read


def labelled(path: Path, say: Say) -> Iterator[tuple[str, str]]:
    """Read each file's text and label. Raises ExportError naming the file that cannot be used."""
    found = [_listed(each) for each in sorted(path.iterdir()) if _is_seen(each) and each.is_dir()]
    folders = [folder for folder in found if folder.texts]
    _refuse_parts(path, folders, found)
    if {"neg", "pos", "unsup"} == {folder.path.name for folder in folders}:
        folders = [folder for folder in folders if folder.path.name != "unsup"]
        say(f"{shown(str(path))}: unsup, the texts of aclImdb without a label, is not read")
    others = [each for each in sorted(path.iterdir()) if _is_seen(each) and not each.is_dir()]
    _tell(path, [*others, *(each for folder in found for each in folder.others)], say)
    labels = _labels(folders)
    for folder in folders:
        for file in folder.texts:
            yield _read(file), labels[folder.path]


def _is_seen(path: Path) -> bool:
    return not path.name.startswith(".")


def _listed(path: Path) -> _Folder:
    folder = _Folder(path)
    for root, folders, files in os.walk(path, onerror=_raise):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        folder.others += [link for name in folders if (link := Path(root, name)).is_symlink()]
        for name in sorted(files):
            file = Path(root, name)
            if _is_seen(file):
                is_text = name.lower().endswith(".txt") and file.is_file()
                (folder.texts if is_text else folder.others).append(file)
    return folder


def _raise(error: OSError) -> None:
    raise error


def _refuse_parts(path: Path, folders: list[_Folder], found: list[_Folder]) -> None:
    """Raise ExportError where no folders of labels are, but perhaps further down."""
    names = {folder.path.name.lower() for folder in folders}
    if len(folders) > 1 and not names <= _PARTS:
        return
    inner = sorted({file.parent.parent for folder in folders for file in folder.texts} - {path})
    inner.sort(key=lambda each: "train" not in each.name.lower())
    hint = f"; did you mean {inner[0]}?" if inner else _hint(path, found)
    if not folders or inner:
        raise ExportError(
            f"{path}: a folder of .txt files per label is needed, two or more of them{hint}"
        )


def _hint(path: Path, found: list[_Folder]) -> str:
    """Name files that may be texts by another name, or tables."""
    tables = [each.name for each in sorted(path.iterdir()) if format_of(each.name)[0] in TABLES]
    if tables:
        return f"; files such as {tables[0]!r} are tables: say so with --input-format"
    if not (others := [file for folder in found for file in folder.others]):
        return ""
    name = repr(str(others[0].relative_to(path)))
    return f"; files such as {name} are not read: give them names that end in .txt"


def _labels(folders: list[_Folder]) -> dict[Path, str]:
    """Return each folder's label. Raises ExportError for two of one label."""
    found: dict[str, Path] = {}
    for folder in folders:
        try:
            label = label_of(folder.path.name)
        except ValueError as error:
            raise ExportError(f"{folder.path}: {error}") from error
        if label is None:
            raise ExportError(f"{folder.path}: its name is empty, and no label")
        if (other := found.setdefault(label, folder.path)) != folder.path:
            raise ExportError(f"{other} and {folder.path} both are the label {label!r}: rename one")
    return {path: label for label, path in found.items()}


def _tell(path: Path, others: list[Path], say: Say) -> None:
    if others:
        names = quoted([str(each.relative_to(path)) for each in others], 3)
        count = "1 file is" if len(others) == 1 else f"{len(others):,} files are"
        say(
            f"{shown(str(path))}: {count} not read, since they are no .txt files in a folder of a"
            f" label: {names}"
        )


def _read(file: Path) -> str:
    data = file.read_bytes()
    if (problem := why_not_text(data[:ENCODING_BYTES])) is not None:
        raise ExportError(f"{file}: {problem}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ExportError(f"{file}: not UTF-8 at byte {error.start}") from error
    for problem in check([text], Options.max_text_characters).errors.values():
        raise ExportError(f"{file}: {problem}")
    return text.replace("\r\n", "\n").replace("\r", "\n")
