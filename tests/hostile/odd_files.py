"""Files of hostile shape, made by a seed: CSV, TSV, JSON lines and Parquet, whole or spoiled."""

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Row = dict[str, Any]

_VALUES = (
    *("", " ", "good", "bad film", "007", "1e999", "NaN", "NULL", "null", "\\N", "\\", "True"),
    *('"', '""', 'a "b" c', '"a"', "a,b", "a;b", "a|b", "a\nb", "a\r\nb", "a\rb", "\n", "\r", ","),
    *("\t", "a\tb", "\0", "a\0b", "\x1a", "\x1b[2J", "\x85", "\u2028", "\ufeff", "a\ufeffb"),
    *(
        "é",
        "e\u0301",
        "İ",
        "ß",
        "🎬",
        "👩‍👩‍👧",
        "\U0010ffff",
        "\ufffd",
        "\u202eabc",
        "映画",
        "\x7f",
    ),
    *("=1+1", "#x", "--", "'", "%s", "{}", "<b>", "$(id)", "../x", "-0", "2024-01-01", "1_000"),
)
_NAMES = (
    *("id", "", " ", "a,b", 'q"q', "é", "line\nbreak", " led", "label", "Error", "null", "-1"),
    *("=1+1", "🎬", "x.y", "a\tb", "probability", "predicted_label", "%41", "'", "\x1b[31m"),
)


@dataclass(frozen=True)
class Odd:
    """A file, how it is to be read, and what is in it."""

    name: str
    data: bytes
    options: dict[str, Any]
    rows: list[Row] | None  # as their judges read them; None: nobody knows


def odd_file(seed: int) -> Odd:
    """Make a file: three of four are whole, the others are spoiled."""
    random = Random(seed)
    make = random.choice((_csv, _csv, _tsv, _jsonl, _jsonl, _parquet, _parquet))
    made = make(random)
    if random.random() < 0.25:
        made = replace(made, data=_spoiled(random, made.data), rows=None)
    return _packed(random, made)


def _packed(random: Random, odd: Odd) -> Odd:
    """Compress a file of a text format, now and then; in one piece or in several."""
    if odd.name.endswith(".parquet") or random.random() < 0.7:
        return odd
    at = random.randrange(len(odd.data) + 1)
    pieces = random.choice(([odd.data], [odd.data[:at], odd.data[at:]], [odd.data, b""]))
    pack: Callable[[bytes], bytes]
    ending, pack = random.choice(
        (
            (".gz", gzip.compress),
            (".zst", lambda data: bytes(pa.compress(data, "zstd", asbytes=True))),
        )
    )
    data = b"".join(map(pack, pieces))
    if odd.rows is None and random.random() < 0.3:
        data = _spoiled(random, data)
    return replace(odd, name=odd.name + ending, data=data)


def _spoiled(random: Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 8))):
        at = random.randrange(len(changed) + 1)
        size = random.choice((0, 0, 1, 2, 8, 64))
        if random.random() < 0.1:
            size = len(changed)  # cut
        new = random.choice(
            (
                *(b"", b'"', b'"', b",", b"\n", b"\r", b"\0", b"\xff", b"\xe9", b"\xef\xbb\xbf"),
                *(b"\xed\xa0\x80", b"{", b"}", b"[", b"\\", b"[" * 5000, random.randbytes(size)),
            )
        )
        changed[at : at + size] = new
    return bytes(changed)


def _text(random: Random) -> str:
    kind = random.random()
    if kind < 0.5:
        return random.choice(_VALUES)
    if kind < 0.9:
        return random.choice(("", " ", "\n", ",")).join(random.choices(_VALUES, k=3))
    if kind < 0.98:
        return "good bad film " * random.randrange(40)
    return random.choice(_VALUES) * random.choice((10, 3000, 70_000))


def _names(random: Random) -> list[str]:
    names = [*random.sample(_NAMES, random.choice((0, 1, 2, 3, 6))), "text"]
    random.shuffle(names)
    return names


def _count(random: Random) -> int:
    return random.choice((0, 1, 2, 5, 20, 20, 60, 511, 512, 513, 1500))


def _csv(random: Random) -> Odd:
    delimiter = random.choice((",", ",", ";", "|", "\t", " ", ":", "x", "\\", "'", "\x01"))
    end = random.choice(("\n", "\n", "\r\n", "\r"))
    quotes_all = random.random() < 0.3

    def field(value: str, is_alone: bool) -> str:
        is_special = any(each in value for each in (delimiter, '"', "\r", "\n"))
        if is_special or quotes_all or (is_alone and not value) or random.random() < 0.05:
            return '"' + value.replace('"', '""') + '"'
        return value

    names = _names(random)
    rows = [{name: _text(random) for name in names} for _ in range(_count(random))]
    lines = [
        delimiter.join(field(value, len(names) == 1) for value in record)
        for record in (names, *(row.values() for row in rows))
    ]
    data = end.join(lines) + (end if random.random() < 0.8 or not lines[-1] else "")
    if random.random() < 0.1:
        data = end * random.randrange(3) + data + end * random.randrange(3)
    if random.random() < 0.2 or data.startswith("\ufeff"):
        data = "\ufeff" + data
    options = {} if delimiter == "," else {"delimiter": delimiter}
    return Odd("in.csv", data.encode(), options, rows)


def _tsv(random: Random) -> Odd:
    names = [name for name in _names(random) if not set(name) & set("\t\r\n")]
    values = [value for value in _VALUES if not set(value) & set("\t\r\n")]
    if len(names) == 1:
        values = [value for value in values if value]
    rows = [{name: random.choice(values) for name in names} for _ in range(_count(random))]
    end = random.choice(("\n", "\n", "\r\n", "\r"))
    lines = ["\t".join(record) for record in (names, *(row.values() for row in rows))]
    data = end.join(lines) + (end if random.random() < 0.8 or not lines[-1] else "")
    return Odd("in.tsv", ("\ufeff" * data.startswith("\ufeff") + data).encode(), {}, rows)


def _value(random: Random, depth: int = 0) -> Any:
    kind = random.randrange(9 if depth < 3 else 6)
    if kind < 3:
        return _text(random)
    if kind == 3:
        return random.choice((None, True, False))
    if kind == 4:
        return random.choice((0, -1, 2**53 + 1, 2**63, -(2**63), 10**30, random.getrandbits(64)))
    if kind == 5:
        return random.choice((0.5, -0.0, 1e-300, 1e22, 5e-324, 1.7976931348623157e308, 0.1))
    if kind == 6:
        return [_value(random, depth + 1) for _ in range(random.randrange(3))]
    return {_text(random)[:50]: _value(random, depth + 1) for _ in range(random.randrange(3))}


def _jsonl(random: Random) -> Odd:
    names = [*random.sample(_NAMES, random.choice((0, 1, 3)))]
    kinds = {name: random.random() < 0.5 for name in names}
    rows: list[Row] = []
    for _ in range(_count(random)):
        row = {
            name: _value(random) if is_mixed else _text(random)
            for name, is_mixed in kinds.items()
            if random.random() < 0.9
        }
        if random.random() < 0.97:
            row["text"] = _text(random) if random.random() < 0.95 else _value(random)
        items = list(row.items())
        random.shuffle(items)
        rows.append(dict(items))
    end = random.choice(("\n", "\n", "\r\n"))
    lines = []
    for row in rows:
        separators = random.choice(((",", ":"), (", ", ": "), (" ,\t", " : ")))
        line = json.dumps(row, ensure_ascii=random.random() < 0.5, separators=separators)
        lines.append(random.choice(("", "", " ", "\t")) + line + random.choice(("", "", " ")))
        if random.random() < 0.02:
            lines.append(random.choice(("", " ")))
    data = end.join(lines) + (end if random.random() < 0.8 else "")
    if random.random() < 0.2:
        data = "\ufeff" + data
    return Odd("in.jsonl", data.encode(), {}, rows)


_TYPES: tuple[tuple[pa.DataType, Callable[[Random], Any]], ...] = (
    (pa.string(), lambda random: random.choice(_VALUES)),
    (pa.large_string(), lambda random: random.choice(_VALUES)),
    (pa.binary(), lambda random: random.randbytes(random.randrange(5))),
    (pa.binary(3), lambda random: random.randbytes(3)),
    (pa.bool_(), lambda random: random.random() < 0.5),
    (pa.int8(), lambda random: random.randrange(-128, 128)),
    (pa.uint64(), lambda random: random.getrandbits(64)),
    (pa.float32(), lambda random: random.choice((0.5, -0.0, float("inf")))),
    (pa.float64(), lambda random: random.choice((0.1, 1e300, float("-inf")))),
    (pa.timestamp("ns", "Europe/Rome"), lambda random: random.getrandbits(62)),
    (pa.timestamp("us"), lambda random: random.getrandbits(63) - 2**62),
    (pa.date32(), lambda random: random.randrange(-(2**31), 2**31)),
    (pa.duration("ms"), lambda random: random.getrandbits(62)),
    (pa.list_(pa.string()), lambda random: random.choices(_VALUES, k=random.randrange(3))),
    (
        pa.struct({"x": pa.int64(), "y": pa.list_(pa.float64())}),
        lambda random: random.choice(({"x": 1, "y": [0.5, None]}, {"x": None, "y": None})),
    ),
    (
        pa.map_(pa.string(), pa.int32()),
        lambda random: [("k", 1), ("k", None)][: random.randrange(3)],
    ),
    (pa.null(), lambda _: None),
)
_TEXT_TYPES = (
    *(pa.string(), pa.string(), pa.large_string(), pa.binary(), pa.large_binary()),
    pa.dictionary(pa.int32(), pa.string()),
)


def _parquet(random: Random) -> Odd:
    names, count = _names(random), _count(random)
    columns, texts = [], []
    for name in names:
        if name == "text":
            texts = [None if random.random() < 0.05 else _text(random) for _ in range(count)]
            columns.append(pa.array(texts, pa.string()).cast(random.choice(_TEXT_TYPES)))
            continue
        kind, value = random.choice(_TYPES)
        values = [None if random.random() < 0.1 else value(random) for _ in range(count)]
        if pa.types.is_temporal(kind):
            whole = pa.int32() if kind == pa.date32() else pa.int64()
            columns.append(pa.array(values, whole).cast(kind))
        else:
            columns.append(pa.array(values, kind))
    table, sink = pa.table(columns, names), pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        row_group_size=random.choice((1, 7, 100, 512, 10_000)) if count < 100 else 400,
        compression=random.choice(("none", "snappy", "gzip", "brotli", "zstd", "lz4")),
        use_dictionary=random.random() < 0.5,
        data_page_version=random.choice(("1.0", "2.0")),
        data_page_size=random.choice((1, 1000, 1 << 20)),
        write_statistics=random.random() < 0.5,
        write_page_index=random.random() < 0.3,
        write_page_checksum=random.random() < 0.3,
        store_schema=random.random() < 0.7,
    )
    rows = [{"text": text} for text in texts]
    return Odd("in.parquet", sink.getvalue().to_pybytes(), {}, rows)
