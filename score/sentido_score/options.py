"""What a run is asked for; whatever here changes the rows of the output."""

import re
from dataclasses import dataclass

from sentido_bundle import Precision, RunLimits
from sentido_bundle.settings import SettingError, check, like, setting

from sentido_score.errors import ScoreError
from sentido_score.format_names import FORMATS, TABLES

_WINDOWS = 64  # that fit into the memory: a dozen are there, some in several forms
_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {"KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}
# No more digits than any machine needs, since a float of 400 is infinite. ASCII, or else the Kelvin
# sign is a K.
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,15})?) ?([KMGT]i?B|B)?", re.ASCII | re.IGNORECASE)


def parse_bytes(text: str) -> int:
    """Read a number of bytes such as "512MiB". Raises ValueError."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r:.60} is not a number of bytes such as 512MiB")
    return int(float(found[1]) * _UNITS[(found[2] or "B").upper()])


def parse_names(text: str) -> tuple[str, ...]:
    """Read the names of columns, with commas between them."""
    return tuple(name.strip() for name in text.split(","))


def _delimiter(text: str) -> str:
    """Return a delimiter as it is typed: a character, or a tab by its name."""
    return {"\\t": "\t", "tab": "\t"}.get(text, text)


@dataclass(frozen=True)
class Options:
    """Settings of a run. Raises ScoreError for a value that cannot be."""

    text_column: str = setting(  # pandas writes an index as a column without a name
        "text", metavar="NAME", group="input", may_be_empty=True
    )
    delimiter: str = setting(",", "of CSV; default: a comma", read=_delimiter, metavar="C")
    input_format: str | None = setting(
        None,
        "default: by the files' names, of which only those that tell a format are read in a folder;"
        " of standard input, text: one text per line",
        choices=FORMATS,
    )
    partitions: bool = setting(True, "make no columns of folders such as year=2023/")
    max_text_characters: int = like(
        RunLimits, "max_text_characters", text="a longer text is an error in its row"
    )
    format: str | None = setting(
        None, "default: by the output's name, or as the input", choices=TABLES, group="output"
    )
    columns: tuple[str, ...] | None = setting(
        None,
        "write these of the input's and the results only",
        read=parse_names,
        metavar="A,B",
    )
    prefix: str = setting("", "of the results' names")
    embed: str | None = setting(
        None,
        "add a vector: what enters the last Dense layer, or the mean of the word vectors",
        choices=("hidden", "mean"),
    )
    all_probabilities: bool = setting(
        False, "a column a label, in the place of the likeliest label's probability"
    )
    part_rows: int = setting(
        65_536, "rows after which what is done is safe from a crash", least=1, most=None
    )
    precision: str = setting("fp32", choices=tuple(map(str, Precision)), group="engine")
    max_run_bytes: int = like(
        RunLimits,
        "max_run_bytes",
        text="what one run of the model's graph may take, of local and ray: as many texts are run"
        f" at once as fit, on each CPU (default: {RunLimits.max_run_bytes >> 20}MiB)",
        read=parse_bytes,
        metavar="SIZE",
    )
    max_run_multiplications: int = like(RunLimits, "max_run_multiplications", text="likewise")
    memory: int = setting(
        1 << 30,
        "what the rows that are held at once may take, beside the process and its model; at least"
        " 128MiB (default: 1GiB)",
        least=128 << 20,
        most=None,
        wanted="a number of bytes of at least 128MiB",
        read=parse_bytes,
        metavar="SIZE",
    )

    @property
    def window_bytes(self) -> int:
        """Bytes of rows and texts at which a window is full, however few rows they are."""
        return self.memory // _WINDOWS

    def __post_init__(self) -> None:
        try:
            check(self)
        except SettingError as error:
            raise ScoreError(str(error)) from error
        if len(self.delimiter) != 1 or not self.delimiter.isascii() or self.delimiter in '"\r\n':
            raise ScoreError(f"delimiter is {self.delimiter!r}, one ASCII character is needed")
        chosen = self.columns or ()
        if doubled := [name for name in chosen if chosen.count(name) > 1]:
            raise ScoreError(f"--columns names {doubled[0]!r} several times: once is enough")
        if not self.prefix.isprintable():
            raise ScoreError(f"prefix is {self.prefix!r}, printable characters are needed")


@dataclass(frozen=True)
class Servers:
    """Where the servers of the engine `remote` are, and what lets in there; see `Client`."""

    address: str = setting(
        "localhost:50051",
        "servers, of remote: host:port, or dns:///name:port (default: SENTIDO_ADDRESS or"
        " localhost:50051)",
        group="engine",
    )
    model: str = setting("", "of remote: the model to ask; default: the server's")
    model_version: str = setting(
        "", "of remote: its version; default: the first that the server has"
    )
    tls_ca: str | None = setting(
        None,
        "of remote: connect over TLS; a PEM file of the authorities to trust (default:"
        " SENTIDO_CONNECT_CA)",
        metavar="FILE",
    )
    tls_cert: str | None = setting(
        None,
        "of remote: a PEM file of a certificate to show to the server (default:"
        " SENTIDO_CONNECT_CERT)",
        metavar="FILE",
    )
    tls_key: str | None = setting(
        None,
        "of remote: a PEM file of that certificate's key (default: SENTIDO_CONNECT_KEY)",
        metavar="FILE",
    )
    token_file: str | None = setting(
        None,
        "of remote: a file that holds the bearer token to send (default:"
        " SENTIDO_CONNECT_TOKEN_FILE)",
    )
    insecure_tokens: bool = setting(
        False, "of remote: send the token over plain text to other machines"
    )
