"""Folders of hostile shape, made by a seed: links, partitions, odd names and what others left."""

import os
import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from urllib.parse import quote

from sentido_score import Options, RunStats, score

_NAMES = (
    *(
        "a",
        "b b",
        "é",
        "new\nline",
        "[x]",
        "a%20b",
        "#1",
        "-",
        "*",
        "~",
        "$HOME",
        "a=b",
        "\x1b[31m",
    ),
    *(
        "part-00000",
        "x.parts",
        "con",
        "q?",
        "'",
        '"',
        "\\",
        "a:b",
        " led",
        "e\u0301",
        "🎬",
        "x" * 200,
    ),
)
_LEFT = (
    *("_SUCCESS", ".part-0.csv.crc", "_temporary/0/part-0.csv", ".hidden/a.csv", "_metadata"),
    *("_delta_log/00000.json", "README.md", "a.csv.bak", "b.csv.tmp", "a.csv~", ".a.csv.swp"),
)
_VALUES = (
    "2023",
    "007",
    "-1",
    "2147483647",
    "2147483648",
    "",
    "a b",
    "é",
    "/",
    "%",
    "a=b",
    "\n",
    "x",
)
_NULL = "__HIVE_DEFAULT_PARTITION__"

Cell = str | int | None
Found = tuple[str, tuple[Cell, ...]]  # of a row: its id, and the partitions of its file


class EnoughError(Exception):
    """Ends a run that is to be left unfinished."""


@dataclass
class OddFolder:
    """A folder, what names it, and the rows that it stands for."""

    path: Path
    random: Random
    keys: tuple[str, ...] = ()
    rows: dict[str, tuple[str | None, ...]] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)
    values: list[tuple[str | None, ...]] = field(default_factory=list)  # of each file

    def make(self) -> "OddFolder":
        """Write it."""
        random = self.random
        self.path.mkdir()
        if random.random() < 0.5:
            self.keys = tuple(random.sample(("year", "Región", "a b", "k"), random.choice((1, 2))))
        for number in range(random.choice((1, 2, 5, 12))):
            self._add_file(number)
        for _ in range(random.choice((0, 1, 3))):
            random.choice((self._link_file, self._link_folder, self._hard_link, self._loop))()
        for name in random.sample(_LEFT, random.choice((0, 2, 5))):
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"not,to be\nread,\xff\n")
        if random.random() < 0.3:
            self._leave_a_run()
        return self

    def sources(self) -> list[Path]:
        """Return what names it: the folder, a glob, its files, or several of these."""
        escaped = Path(re.sub(r"([*?[])", r"[\1]", str(self.path)))
        ways = ([self.path], [escaped / "**/*.csv"], self.files, [self.path, *self.files])
        return self.random.choice(ways)

    def expected(self) -> "Counter[Found]":
        """Return how often each row is to come out: once."""
        columns = list(zip(*self.values, strict=True))
        are_numbers = [all(value is None or _is_int32(value) for value in each) for each in columns]
        return Counter(
            (
                row,
                tuple(
                    _typed(value, is_number)
                    for value, is_number in zip(values, are_numbers, strict=True)
                ),
            )
            for row, values in self.rows.items()
        )

    def _add_file(self, number: int) -> None:
        random, folder = self.random, self.path
        values = tuple(random.choice((None, *_VALUES)) for _ in self.keys)
        for key, value in zip(self.keys, values, strict=True):
            folder /= (
                f"{quote(key, safe=' ')}={_NULL if value is None else quote(value, safe=' =')}"
            )
        if random.random() < 0.3:
            folder /= random.choice(_NAMES[:6])
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{random.choice(_NAMES)}{number}.csv"
        count = random.choice((0, 1, 3, 30))
        ids = [f"{number}-{row}" for row in range(count)]
        path.write_text(
            "".join(f"{line}\n" for line in ("id,text", *(f"{i},good {i}" for i in ids)))
        )
        self.files.append(path)
        self.values.append(values)
        self.rows |= dict.fromkeys(ids, values)

    def _beside(self) -> Path:
        """Return a new path in a folder of files, so that partitions stay those of its file."""
        return self.random.choice(self.files).parent / f"link{self.random.getrandbits(40)}"

    def _link_file(self) -> None:
        file = self.random.choice(self.files)
        (file.parent / f"zz{self.random.getrandbits(40)}.csv").symlink_to(file)

    def _link_folder(self) -> None:
        folder = self.random.choice(self.files).parent
        if not self.keys:
            (self.path / f"zz{self.random.getrandbits(40)}").symlink_to(folder)

    def _hard_link(self) -> None:
        file = self.random.choice(self.files)
        os.link(file, file.parent / f"zz{self.random.getrandbits(40)}.csv")

    def _loop(self) -> None:
        self._beside().symlink_to(self.path if not self.keys else ".")

    def _leave_a_run(self) -> None:
        """Break off a run of another output in the folder, after its first part."""

        def watch(counts: RunStats, _share: float | None) -> None:
            if counts.rows > 20:
                raise EnoughError

        other = self.path.with_name("other.csv")
        other.write_text("id,text\n" + "x,good\n" * 40)
        folder = self.random.choice(self.files).parent
        with suppress(EnoughError):
            score(other, out=folder / "scored.csv", options=Options(part_rows=10), watch=watch)


def _is_int32(value: str) -> bool:
    return bool(re.fullmatch(r"-?[0-9]+", value)) and -(2**31) <= int(value) < 2**31


def _typed(value: str | None, is_number: bool) -> Cell:
    return int(value) if is_number and value is not None else value
