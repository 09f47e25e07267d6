"""What a run is asked for; whatever here changes the rows of the output."""

import re
from dataclasses import dataclass

from sentido_bundle import Precision
from sentido_bundle.graphs import DEFAULT_LIMITS

from sentido_score.errors import ScoreError
from sentido_score.format_names import FORMATS, TABLES

EMBEDDINGS = ("hidden", "mean")

_MOST_CHARACTERS = 1_000_000  # as the server's default
_LEAST_MEMORY = 128 << 20  # bytes
_WINDOWS = 64  # that fit into the memory: a dozen are there, some in several forms
_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {"KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}


@dataclass(frozen=True)
class Options:
    """Settings of a run. Raises ScoreError for a value that cannot be."""

    text_column: str = "text"
    delimiter: str = ","
    input_format: str | None = None  # None: by the files' names; of standard input: text
    format: str | None = None  # of the output; None: by its name, or as the input
    columns: tuple[str, ...] | None = None  # of the output; None: the input's and all results
    prefix: str = ""  # of the results' names
    embed: str | None = None  # "hidden" or "mean": adds a vector
    all_probabilities: bool = False  # a column a label, in the place of the label's own
    precision: str = "fp32"
    max_run_bytes: int = DEFAULT_LIMITS.max_run_bytes  # of one run of the model's graph
    max_run_multiplications: int = DEFAULT_LIMITS.max_run_multiplications
    max_text_characters: int = _MOST_CHARACTERS
    partitions: bool = True  # folders such as year=2023/ are columns
    part_rows: int = 65_536  # after which what is done is safe from a crash
    memory: int = 1 << 30  # bytes of the rows that are held at once; changes no row in fp32

    @property
    def window_bytes(self) -> int:
        """Bytes of rows and texts at which a window is full, however few rows they are."""
        return self.memory // _WINDOWS

    def __post_init__(self) -> None:
        for name, value, known in (
            ("input format", self.input_format, FORMATS),
            ("format", self.format, TABLES),
            ("embed", self.embed, EMBEDDINGS),
            ("precision", self.precision, tuple(map(str, Precision))),
        ):
            if value is not None and value not in known:
                raise ScoreError(f"{name} is {value!r}, one of {', '.join(known)} is needed")
        if len(self.delimiter) != 1 or not self.delimiter.isascii() or self.delimiter in '"\r\n':
            raise ScoreError(f"delimiter is {self.delimiter!r}, one ASCII character is needed")
        chosen = self.columns or ()
        if doubled := [name for name in chosen if chosen.count(name) > 1]:
            raise ScoreError(f"--columns names {doubled[0]!r} several times: once is enough")
        if not self.prefix.isprintable():
            raise ScoreError(f"prefix is {self.prefix!r}, printable characters are needed")
        counts = ("max_text_characters", "part_rows", "max_run_bytes", "max_run_multiplications")
        for name in counts:
            if getattr(self, name) < 1:
                raise ScoreError(f"{name} is {getattr(self, name)}, it must be 1 or more")
        if self.memory < _LEAST_MEMORY:
            raise ScoreError(f"memory is {self.memory} bytes, it must be 128MiB or more")


def parse_bytes(text: str) -> int:
    """Read a number of bytes such as "512MiB". Raises ValueError."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?([KMGT]i?B|B)?", text.strip(), re.IGNORECASE)
    if found is None:
        raise ValueError(f"{text!r} is not a number of bytes such as 512MiB")
    return int(float(found[1]) * _UNITS[(found[2] or "B").upper()])


@dataclass(frozen=True)
class Servers:
    """Where the servers of the engine `remote` are, and what lets in there; see `Client`."""

    address: str = "localhost:50051"  # "host:port", or "dns:///name:port" for all of a name's
    model: str = ""  # to ask; "": the server's default
    model_version: str = ""  # "": the first of that name that the server has
    tls_ca: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    token_file: str | None = None
    insecure_tokens: bool = False
