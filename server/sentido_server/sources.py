"""Where the server's bundles come from, as `--bundle` says it: FOLDER, or NAME=FOLDER."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sentido_bundle import check_plain_name


@dataclass(frozen=True)
class Source:
    """A bundle's folder, and the name that its model is served by."""

    folder: Path
    name: str = ""  # "": the bundle's own

    @classmethod
    def parse(cls, text: str | Path) -> Self:
        """Read FOLDER or NAME=FOLDER; a Path is a folder. Raises ValueError.

        What stands before the first "=" is a name unless it holds a "/", so that a folder whose
        name holds a "=" can be written with "./" before it.

        >>> Source.parse("mine=/bundles/a=b").name, Source.parse("./a=b").name
        ('mine', '')
        """
        if isinstance(text, Path):
            return cls(text)
        name, equals, folder = text.partition("=")
        if not equals or "/" in name:
            return cls(Path(text))
        try:
            check_plain_name("the name", name)
        except ValueError as error:
            raise ValueError(f"{error}; to name a folder, write ./{text}") from error
        if not folder:
            raise ValueError(f"after {name}= the bundle's folder is missing")
        return cls(Path(folder), name)
