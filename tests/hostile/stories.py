"""A run of the scorer with what befalls it: input, output, neighbours, events, what is right.

Rows are numbered over all files, so a lost, doubled or moved one is seen; answers are compared with
the bundle's in this process, to the bit.
"""

import csv
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sentido_bundle import Bundle

_WORDS = ("a", "the", "good", "bad", "film", "awful", "w1", "w2", "w3", "not", "é", "映画")
Files = dict[str, bytes]
Answer = tuple[int, str, str, float]  # of a row: its number, text, label and probability


def snapshot(folder: Path) -> Files:
    """Read every file below a folder, and where links lead."""
    return {
        str(path.relative_to(folder)): (
            os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
        )
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


class Story:
    """A folder with an input, an output that may be old, a bundle and files of others."""

    def __init__(self, folder: Path, random: Random, bundles: list[Path]) -> None:
        self.folder, self.random = folder, random
        self.bundles = bundles
        self.loaded = [Bundle.load(bundle) for bundle in bundles]
        self.served = 0  # which bundle
        self.reload: Callable[[], object] = lambda: None  # has a server take a replaced bundle
        self.link = folder / "bundle"
        self.link.symlink_to(bundles[0])
        self.format = random.choice(("csv", "jsonl", "parquet"))
        is_folder = random.random() < 0.4
        self.source = folder / "in"
        self.out = folder / ("out" if is_folder else f"out.{self.format}")
        self.out_name = f"{self.out}/" if is_folder else str(self.out)
        self.parts = Path(f"{self.out}.parts")
        self.part_rows = random.choice((90, 150, 300))
        self.next_row = 0
        self.source.mkdir()
        for _ in range(random.choice((1, 2, 4))):
            self.add_file()
        self._put_neighbours()
        self.others = self.read_others()

    def _put_neighbours(self) -> None:
        name = self.out.name
        for other in (f"{name}.bak", f"{name}.parts.txt", f"{name}.parts2/part-00000.csv", "x.tmp"):
            path = self.folder / other
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(f"{other} of others".encode())

    def read_others(self) -> Files:
        """Return what is neither the input nor the output."""
        ours = (f"{self.out.name}/", f"{self.out.name}.parts/", "in/", "bundle")
        names = (self.out.name, f"{self.out.name}.report.json")
        return {
            name: data
            for name, data in snapshot(self.folder).items()
            if not name.startswith(ours) and name not in names
        }

    # -- the input --------------------------------------------------------------------------------

    def add_file(self) -> None:
        """Write a file of the input, with rows that no other has."""
        path = self.source / f"{self.next_row:06}.{self.format}"
        self.write(path, self.random.choice((0, 1, 200, 400, 700)))

    def write(self, path: Path, count: int) -> None:
        """Write so many new rows."""
        rows = [
            {"id": self.next_row + n, "text": " ".join(self.random.choices(_WORDS, k=60))}
            for n in range(count)
        ]
        self.next_row += count + 1
        if self.format == "csv":
            with path.open("w", newline="") as file:
                writer = csv.DictWriter(file, ("id", "text"), lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)
        elif self.format == "jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        else:
            table = pa.Table.from_pylist(rows, pa.schema({"id": pa.int64(), "text": pa.string()}))
            pq.write_table(table, path, row_group_size=250)

    def read(self, files: Files) -> list[tuple[int, str]]:
        """Return the rows of files, in order of their names."""
        found: list[dict[str, str]] = []
        for _, data in sorted(files.items()):
            found += self._rows(data)
        return [(int(row["id"]), row["text"]) for row in found]

    def _rows(self, data: bytes) -> list[dict[str, str]]:
        if self.format == "csv":
            return list(csv.DictReader(io.StringIO(data.decode(), newline="")))
        if self.format == "jsonl":
            return [json.loads(line) for line in data.decode().splitlines()]
        return list(pq.read_table(pa.BufferReader(data)).to_pylist())

    # -- the output -------------------------------------------------------------------------------

    def expected(self, files: Files, bundle: int) -> list[Answer]:
        """Return the rows that an input stands for, with a bundle's answers."""
        rows = self.read(files)
        if not rows:
            return []
        loaded = self.loaded[bundle]
        probabilities = loaded.predict([text for _, text in rows]).probabilities
        best = probabilities.argmax(axis=1)
        return [
            (number, text, loaded.labels[label], float(each[label]))
            for (number, text), label, each in zip(rows, best, probabilities, strict=True)
        ]

    def output(self) -> list[Answer] | None:
        """Return the rows of the output; None if there is none."""
        if self.out.is_dir():
            pieces = [path.read_bytes() for path in sorted(self.out.iterdir())]
        elif self.out.exists():
            pieces = [self.out.read_bytes()]
        else:
            return None
        return [
            (int(row["id"]), row["text"], row["label"], float(np.float32(row["probability"])))
            for piece in pieces
            for row in self._rows(piece)
        ]

    # -- events -----------------------------------------------------------------------------------

    def events(self, *, is_running: bool) -> dict[str, Callable[[], object]]:
        """Return what can happen between two runs, or in the midst of one."""
        events: dict[str, Callable[[], object]] = {
            "nothing": lambda: None,
            "rows are appended": self._append,
            "a file is cut": self._cut_file,
            "a file is rewritten": lambda: self._rewrite(self._any_file()),
            "a file is replaced": self._replace,
            "a file goes": self._remove_file,
            "a file comes": self.add_file,
            "a part goes": lambda: self._with_part(Path.unlink),
            "a part is cut": lambda: self._with_part(_cut),
            "a part is changed": lambda: self._with_part(_swap),
            "a record goes": lambda: self._with_record(Path.unlink),
            "a record is cut": lambda: self._with_record(_cut),
            "the bundle is replaced": self.replace_bundle,
        }
        if is_running and self.out_name.endswith("/"):
            del events["a part is changed"]  # of a folder sizes alone are compared in the end
        return events

    def _any_file(self) -> Path:
        return self.random.choice(sorted(self.source.iterdir()))

    def _remove_file(self) -> None:
        if len(list(self.source.iterdir())) > 1:
            self._any_file().unlink()

    def _append(self) -> None:
        path, more = self._any_file(), self.folder / "more"
        self.write(more, 20)
        if self.format == "parquet":
            more.replace(path)
            return
        data = more.read_bytes()
        more.unlink()
        with path.open("ab") as file:
            file.write(data.partition(b"\n")[2] if self.format == "csv" else data)

    def _cut_file(self) -> None:
        path = self._any_file()
        lines = path.read_bytes().splitlines(keepends=True)
        if self.format == "parquet":
            self._rewrite(path)
        else:
            path.write_bytes(b"".join(lines[: len(lines) // 2 + 1]))

    def _rewrite(self, path: Path) -> None:
        self.write(path, self.random.choice((5, 300)))

    def _replace(self) -> None:
        new = self.folder / "more"
        self._rewrite(new)
        new.replace(self._any_file())

    def _parts(self) -> list[Path]:
        """Return the finished parts of a run that is not finished: later they are the output."""
        if Path(f"{self.out}.report.json").exists():
            return []
        folders = (self.parts, self.parts / "new", self.out)
        return [path for folder in folders for path in sorted(folder.glob("part-*"))]

    def _with_part(self, harm: Callable[[Path], object]) -> None:
        if parts := [path for path in self._parts() if path.suffix != ".json"]:
            harm(self.random.choice(parts))

    def _with_record(self, harm: Callable[[Path], object]) -> None:
        records = [path for path in sorted(self.parts.glob("*.json")) if path.name != "run.json"]
        if records:  # without run.json nobody knows whose the folder is
            harm(self.random.choice(records))

    def replace_bundle(self) -> None:
        """Have the link lead to the other bundle."""
        self.served = 1 - self.served
        new = self.folder / "new"
        new.symlink_to(self.bundles[self.served])
        new.replace(self.link)
        self.reload()


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _swap(path: Path) -> None:
    path.write_bytes(path.read_bytes().swapcase())
