"""A value of JSON lines that is hard to hold ends no run and costs no other field."""

import csv
import json
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scoring import read_csv, read_jsonl
from sentido_score import Options, score
from sentido_score.formats.json_objects import Verbatim, members, parse

DEEP = 50_000
ODD_VALUES = {
    "digits": "1" * 5000,
    "negative": "-" + "9" * 5000,
    "large": "1e400",
    "fraction": "0." + "3" * 5000,
    "lists": "[" * DEEP + "]" * DEEP,
    "objects": '{"a":' * DEEP + "1" + "}" * DEEP,
    "both": '[{"]": ' * DEEP + '"\\"}["' + "}]" * DEEP,
    "surrogate": '"\\ud800"',
    "surrogates": '["\\udc00\\ud83d", {"\\ud800": 1}]',
    "controls": '"\\u0000\\u001f"',
    "empty": '""',
    "zero": "-0.0",
    "exact": "0.1000000000000000055511151231257827",
}
"""What is JSON, by what is hard about it."""

NOT_JSON = {
    "nan": "NaN",
    "infinity": "Infinity",
    "negative_infinity": "-Infinity",
    "within": '[1, {"x": NaN}]',
}
"""What Python reads and writes, and JSON has not."""


def write(path: Path, values: dict[str, str]) -> Path:
    """Write an object for each value, under the same name."""
    lines = [f'{{"id": {i}, "odd": {v}, "text": "good"}}\n' for i, v in enumerate(values.values())]
    path.write_text("".join(lines))
    return path


def values_of(path: Path) -> list[dict[str, str]]:
    """Return the text of each value of each line."""
    return [members(line.decode()).values for line in path.read_bytes().splitlines()]


def test_json_lines_pass_on_every_value_of_json_as_it_stands(tmp_path: Path) -> None:
    path = write(tmp_path / "in.jsonl", ODD_VALUES)
    report = score(path, out=tmp_path / "out.jsonl")
    assert (report.rows, report.errors) == (len(ODD_VALUES), 0)
    given, found = (
        path.read_bytes().splitlines(),
        (tmp_path / "out.jsonl").read_bytes().splitlines(),
    )
    for line, wanted in zip(found, given, strict=True):
        assert line.startswith(wanted[:-1] + b', "label": "')


def test_chosen_columns_keep_every_value_of_json(tmp_path: Path) -> None:
    path = write(tmp_path / "in.jsonl", ODD_VALUES)
    report = score(path, out=tmp_path / "out.jsonl", options=Options(columns=("odd", "label")))
    assert report.errors == 0
    for row, (name, wanted) in zip(
        values_of(tmp_path / "out.jsonl"), ODD_VALUES.items(), strict=True
    ):
        if name in ("exact", "fraction"):  # the same number in the fewest digits
            assert float(row["odd"]) == float(wanted)
        elif name in ("surrogates", "controls"):
            assert json.loads(row["odd"]) == json.loads(wanted)
        else:
            assert row["odd"] == wanted


@pytest.mark.parametrize("out", ["csv", "parquet"])
def test_tables_keep_every_value_of_json_that_is_unicode(out: str, tmp_path: Path) -> None:
    path, target = write(tmp_path / "in.jsonl", ODD_VALUES), tmp_path / f"out.{out}"
    report = score(path, out=target)
    csv.field_size_limit(2**31 - 1)
    rows: list[dict[str, Any]] = (
        [*read_csv(target)] if out == "csv" else pq.read_table(target).to_pylist()
    )
    assert [int(row["id"]) for row in rows] == [*range(len(ODD_VALUES))]
    for row, (name, value) in zip(rows, ODD_VALUES.items(), strict=True):
        if name == "surrogate":
            assert row["error"] == "the field 'odd' holds a lone surrogate"
            assert row["odd"] == "?"
        elif value.startswith('"'):
            assert row["odd"] == json.loads(value)
        elif name in ("digits", "negative", "large", "lists", "objects", "both"):
            assert row["odd"] == value
        else:
            assert json.loads(row["odd"]) == json.loads(value)
    assert report.errors == 1


def test_a_late_value_that_does_not_fit_costs_no_other_field(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    odd = ["1" * 5000, "1e400", "[" * DEEP + "]" * DEEP, str(2**63), '"x"', "true"]
    first = '{"n": 1, "f": 0.5, "id": 0, "text": "a"}\n' * 4096
    late = [f'{{"n": {v}, "f": {v}, "id": {i}, "text": "a"}}\n' for i, v in enumerate(odd)]
    path.write_text(first + "".join(late))
    report = score(path, out=tmp_path / "out.parquet")
    assert report.errors == len(odd)
    rows = pq.read_table(tmp_path / "out.parquet").slice(4096).to_pylist()
    assert [(row["id"], row["text"]) for row in rows] == [(i, "a") for i in range(len(odd))]
    assert all(row["error"].startswith("the field 'n' does not fit") for row in rows)


def test_what_is_almost_json_is_an_error_and_no_other_field_is_lost(tmp_path: Path) -> None:
    path = write(tmp_path / "in.jsonl", NOT_JSON)
    for out in ("jsonl", "csv", "parquet"):
        report = score(path, out=tmp_path / f"out.{out}")
        assert report.errors == report.rows == len(NOT_JSON)
    rows = read_jsonl(tmp_path / "out.jsonl")
    assert all(members(json.dumps(row)).constant is None for row in rows)
    assert [(row["id"], row["text"]) for row in rows] == [(i, "good") for i in range(4)]
    assert [row["odd"] for row in rows] == [None, None, None, [1, {"x": None}]]
    for row, constant in zip(rows, ("NaN", "Infinity", "-Infinity", "NaN"), strict=True):
        assert f"malformed JSON: {constant} is not a number of JSON" in row["error"]
    assert pq.read_table(tmp_path / "out.parquet")["id"].to_pylist() == [0, 1, 2, 3]


BAD_BYTES = {
    "latin-1": b"caf\xe9",
    "surrogate as bytes": b"\xed\xa0\x80",
    "overlong": b"\xc0\xaf",
    "cut off": b"\xf0\x9f\x8e",
    "above": b"\xf4\x90\x80\x80",
}


@pytest.mark.parametrize("value", BAD_BYTES.values(), ids=BAD_BYTES)
def test_a_line_that_is_not_utf_8_keeps_its_fields(value: bytes, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(
        b'{"id": 1, "odd": "x", "text": "good"}\n{"id": 2, "odd": "%s", "text": "good"}\n' % value
    )
    score(path, out=tmp_path / "out.jsonl")
    first, second = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    assert first["error"] is None
    assert second["error"] == "line 2: not UTF-8"
    assert (second["id"], second["text"], second["label"]) == (2, "good", None)
    assert "\ufffd" in second["odd"]


def test_a_mark_of_the_byte_order_on_any_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"text": "good"}\n' * 3)
    assert score(path, out=tmp_path / "out.jsonl").errors == 0
    assert b"\xef\xbb\xbf" not in (tmp_path / "out.jsonl").read_bytes()


@pytest.mark.parametrize(
    "name", ["label", "error", "l\\u0061bel", "\\u006cabel", "\\u0065rror", "token_coun\\u0074"]
)
def test_a_late_field_that_is_called_like_a_result_costs_no_other_field(
    name: str, tmp_path: Path
) -> None:
    path = tmp_path / "in.jsonl"
    late = f'{{"id": 7, "{name}": "timeout", "n": {"1" * 5000}, "text": "good"}}\n'
    path.write_text('{"id": 1, "text": "good"}\n' * 4100 + late)
    report = score(path, out=tmp_path / "out.jsonl")
    assert report.errors == 1
    line = (tmp_path / "out.jsonl").read_bytes().splitlines()[-1].decode()
    pairs: list[tuple[str, Any]] = json.loads(
        line, object_pairs_hook=lambda found: found, parse_int=lambda digits: digits
    )
    assert len(dict(pairs)) == len(pairs)
    row = dict(pairs)
    assert (row["id"], row["text"], row["n"]) == ("7", "good", "1" * 5000)
    assert "choose a --prefix" in row["error"]


def test_results_of_any_name_are_never_doubled(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    for prefix, name in (("é_", "é_label"), ("é_", "\\u00e9_label"), ("a/", "a\\/label")):
        path.write_text('{"text": "good"}\n' * 4096 + f'{{"{name}": 1, "text": "good"}}\n')
        out = tmp_path / "out.jsonl"
        assert score(path, out=out, options=Options(prefix=prefix), overwrite=True).errors == 1
        pairs = json.loads(out.read_bytes().splitlines()[-1], object_pairs_hook=list)
        assert len(dict(pairs)) == len(pairs)


def test_a_field_may_have_any_name(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"\\ud800": 1, "": 2, "\\u0000": 3, "a%s": 4, "text": "good"}\n')
    score(path, out=tmp_path / "out.jsonl")
    row = json.loads((tmp_path / "out.jsonl").read_text())
    assert (row["\ud800"], row[""], row["\0"], row["a%s"], row["error"]) == (1, 2, 3, 4, None)
    score(path, out=tmp_path / "out.parquet")
    (row,) = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert (row[""], row["a%s"], row["text"]) == (2, 4, "good")
    assert "'\\ud800'" in row["error"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.dictionaries(st.text(), JSON, max_size=4), st.booleans(), st.sampled_from([None, 1]))
def test_our_parser_reads_what_pythons_does(
    value: dict[str, Any], is_ascii: bool, indent: int | None
) -> None:
    text = json.dumps(value, ensure_ascii=is_ascii, indent=indent, allow_nan=True)
    found = members(text)
    if found.constant is None:
        assert {name: json.loads(each) for name, each in found.values.items()} == value
    for end in range(len(text)):
        with pytest.raises(ValueError, match="at character"):
            members(text[:end])


@settings(deadline=None)
@given(st.text('{}[],:"\\ \n019-+.eEtruefalsn\x00u', max_size=12))
def test_our_parser_refuses_what_pythons_does(text: str) -> None:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if isinstance(value, dict):
        assert members(text).values.keys() == value.keys()
    else:
        with pytest.raises(ValueError, match="at character"):
            members(text)


def test_a_number_is_read_however_long_and_python_keeps_its_limit() -> None:
    before = sys.get_int_max_str_digits()
    value = parse(b'{"n": %s, "m": 7}' % (b"1" * 9999))
    assert value == {"n": Verbatim("1" * 9999), "m": 7}
    assert sys.get_int_max_str_digits() == before
