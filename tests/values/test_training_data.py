"""What is trained on: the rows of any table and folder, and their labels."""

import gzip
import os
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sentido_bundle import Tokenizer
from sentido_export import data
from sentido_export.errors import ExportError
from sentido_export.export import keras_rules
from sentido_export.labels import listed
from sentido_score import Options, ScoreError
from sentido_score.formats.columns import refuse_doubles
from sentido_score.formats.opening import open_source
from sentido_score.formats.window import Position


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def folder(path: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        write(path / name, content)
    return path


def load(source: Path | str, **options: Any) -> tuple[data.Dataset, list[str]]:
    said: list[str] = []
    return data.load(str(source), say=said.append, **options), said


def pairs(dataset: data.Dataset) -> list[tuple[str, str]]:
    names = [dataset.label_names[index] for index in dataset.labels]
    return list(zip(dataset.texts, names, strict=True))


def refusal(source: Path, **options: Any) -> str:
    with pytest.raises(ExportError) as caught:
        data.load(str(source), **options)
    return str(caught.value)


# -- folders ------------------------------------------------------------------------------------


def test_a_folders_texts_are_those_that_keras_finds(tmp_path: Path) -> None:
    folder(
        tmp_path,
        {
            **{f"neg/{n}.txt": f"bad {n}" for n in range(3)},
            **{f"neutral/{n}.TXT": f"so so {n}" for n in range(3)},
            **{f"pos/2023/{n % 2}/{n}.Txt": f"good {n}" for n in range(3)},
            "pos/.hidden.txt": "hidden",
            "pos/.git/x.txt": "hidden",
            ".cache/x.txt": "hidden",
            "pos/notes.pdf": "x",
            "readme.txt": "not in a folder of a label",
        },
    )
    found, said = load(tmp_path)
    assert found.counts == {"neg": 3, "neutral": 3, "pos": 3}
    assert pairs(found)[-1] == ("good 1", "pos")
    assert said == [
        f"{tmp_path}: 2 files are not read, since they are no .txt files in a folder of a label:"
        " 'readme.txt', 'pos/notes.pdf'"
    ]


def test_a_folder_without_a_text_is_named_and_no_label(tmp_path: Path) -> None:
    folder(tmp_path, {"a/1.txt": "x", "b/1.txt": "y", "c/1.docx": "z"})
    found, said = load(tmp_path)
    assert found.label_names == ("a", "b")
    assert len(said) == 1
    assert "'c/1.docx'" in said[0]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["train/neg/1.txt", "train/pos/1.txt", "test/neg/1.txt", "test/urls.txt"], "/train?"),
        (["Train/neg/1.txt", "Test/neg/1.txt", "valid/neg/1.txt", "train.txt"], "/Train?"),
        (["data/neg/1.txt", "data/pos/1.txt"], "did you mean "),
        (["a/4711", "b/4712"], "files such as 'a/4711' are not read: give them names that end in"),
        (["1.txt", "2.txt"], "a folder of .txt files per label is needed, two or more of them"),
        (["a/1.txt"], "its labels are ['a'], two or more are needed"),
        (["1/a.txt", "1.0/a.txt"], "both are the label '1': rename one"),
        (["a/1.txt", " a/1.txt"], "both are the label 'a': rename one"),
        (["a\x1b/1.txt", "b/1.txt"], "printable characters are needed"),
    ],
)
def test_a_folder_of_another_shape_is_refused_with_a_hint(
    files: list[str], message: str, tmp_path: Path
) -> None:
    assert message in refusal(folder(tmp_path, dict.fromkeys(files, "text")))


def test_what_is_no_regular_file_is_not_read(tmp_path: Path) -> None:
    folder(tmp_path, {"a/1.txt": "x", "b/1.txt": "y", "elsewhere.d/1.txt": "z"})
    os.mkfifo(tmp_path / "a/pipe.txt")
    (tmp_path / "a/broken.txt").symlink_to("nowhere")
    (tmp_path / "b/round").symlink_to(tmp_path)
    (tmp_path / "b/link.txt").symlink_to(tmp_path / "a/1.txt")
    found, said = load(tmp_path)
    assert found.counts == {"a": 1, "b": 2, "elsewhere.d": 1}
    assert all(name in said[0] for name in ("a/pipe.txt", "a/broken.txt", "b/round"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"caf\xe9", "b/1.txt: not UTF-8 at byte 3"),
        ("text".encode("utf-16"), "b/1.txt: is UTF-16, not UTF-8"),
        (gzip.compress(b"text", mtime=0), "b/1.txt: is compressed with gzip"),
        ("x" * 1_000_001, "b/1.txt: the text has 1000001 characters, at most 1000000"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    content: str | bytes, message: str, tmp_path: Path
) -> None:
    folder(tmp_path, {"a/1.txt": "text"})
    write(tmp_path / "b/1.txt", content)
    assert message in refusal(tmp_path)


# -- labels -------------------------------------------------------------------------------------

LABELS: dict[str, Callable[[], pa.Array]] = {
    "whole": lambda: pa.array([0, 1, 1, 0]),
    "beside a missing one": lambda: pa.array([0.0, 1.0, 1.0, 0.0]),
    "half a star": lambda: pa.array([0.5, 1.5, 1.0, 1.5], pa.float32()),
    "text": lambda: pa.array(["neg", "pos", " pos ", "neg"]),
    "numbers as text": lambda: pa.array(["0", "1.0", "1", "0.0"]),
    "booleans": lambda: pa.array([False, True, True, False]),
    "categories": lambda: pa.array(["b", "a", "a", "b"]).dictionary_encode(),
    "bytes": lambda: pa.array([b"b", b"a", b"a", b"b"]),
    "dates": lambda: pa.array([1, 2, 2, 1], pa.date32()),
    "decimals": lambda: pa.array([1, 2, 2, 1]).cast(pa.decimal128(25, 2)),
}


@pytest.mark.parametrize("kind", LABELS)
def test_a_table_has_the_same_labels_in_every_format(kind: str, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    table = pa.table({"text": [f"text {n}" for n in range(4)], "label": LABELS[kind]()})
    frame = table.to_pandas()
    frame["label"] = [v.decode() if isinstance(v, bytes) else v for v in frame["label"]]
    pq.write_table(table, tmp_path / "a.parquet")
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_csv(tmp_path / "a.tsv", index=False, sep="\t")
    frame.astype({"label": object}).to_json(
        tmp_path / "a.jsonl", orient="records", lines=True, date_format="iso", default_handler=str
    )
    assert isinstance(frame, pandas.DataFrame)
    found = {path.suffix: pairs(load(path)[0]) for path in tmp_path.iterdir()}
    if kind == "dates":  # pandas writes these in JSON with a time of day
        found.pop(".jsonl")
    assert len(found) >= 3
    assert len(set(map(tuple, found.values()))) == 1, found


@pytest.mark.parametrize(
    ("name", "missing"),
    [("a.csv", ""), ("a.csv", "  "), ("a.jsonl", '""'), ("a.jsonl", "null"), ("a.parquet", None)],
)
def test_a_missing_label_is_named_or_left_out(
    name: str, missing: str | None, tmp_path: Path
) -> None:
    labels = ["a", "b", missing, "a"]
    path = tmp_path / name
    if name == "a.csv":
        write(path, "text,label\n" + "".join(f"t{n},{each}\n" for n, each in enumerate(labels)))
    elif name == "a.jsonl":
        values = [each if each == missing else f'"{each}"' for each in labels]
        rows = [f'{{"text": "t{n}", "label": {each}}}\n' for n, each in enumerate(values)]
        write(path, "".join(rows))
    else:
        pq.write_table(pa.table({"text": ["t0", "t1", "t2", "t3"], "label": labels}), path)
    place = {"a.csv": "line 4", "a.jsonl": "line 3", "a.parquet": "row 3"}[name]
    assert refusal(path).startswith(f"{path}: {place}: no label: add it, or leave such rows out")
    found, said = load(path, normalize_labels=True)
    assert found.counts == {"a": 2, "b": 1}
    assert said == ["1 texts without a label are left out"]


def test_a_row_behind_blank_lines_and_line_ends_in_quotes_is_named_by_its_line(
    tmp_path: Path,
) -> None:
    rows = ["text,label", '"a\nb",x', "", "", *["c,y"] * 600, "d,", "e,x"]
    path = write(tmp_path / "a.csv", "\n".join(rows))
    assert refusal(path).startswith(f"{path}: line 606: no label")


def test_a_label_that_is_called_nan_is_sorted_as_a_name(tmp_path: Path) -> None:
    labels = ["nan", "10", "2", "b", "a", "inf", "-1", "1.5", "1e3", "NaN"]
    for seed in range(8):
        Random(seed).shuffle(labels)
        path = write(tmp_path / "a.csv", "text,label\n" + "".join(f"t,{x}\n" for x in labels))
        found, said = load(path)
        assert found.label_names == ("-1", "1.5", "2", "10", "1e3", "NaN", "a", "b", "inf", "nan")
    assert len(said) == 2
    assert "1 texts are labelled 'nan', as programs write a missing value" in said[1]


def test_labels_that_may_be_one_are_said_and_made_one_on_request(tmp_path: Path) -> None:
    labels = ["pos", "pos", "Pos", "POS ", "n  eg", "n eg", "n eg", "NaN", "n/a", "\ufb01ne"]
    labels += ["fine", "fine"]
    path = write(tmp_path / "a.csv", "text,label\n" + "".join(f"t,{x}\n" for x in labels))
    found, said = load(path)
    assert len(found.label_names) == 9
    tail = "differ in case or spaces only: --normalize-labels makes them one"
    assert said == [
        f"the labels 'POS' (1 texts) and 'Pos' (1 texts) and 'pos' (2 texts) {tail}",
        f"the labels 'fine' (2 texts) and '\ufb01ne' (1 texts) {tail}",
        f"the labels 'n  eg' (1 texts) and 'n eg' (2 texts) {tail}",
        *(
            f"1 texts are labelled {name!r}, as programs write a missing value: --normalize-labels"
            " leaves them out"
            for name in ("NaN", "n/a")
        ),
    ]
    found, said = load(path, normalize_labels=True)
    assert found.counts == {"fine": 3, "n eg": 3, "pos": 4}
    assert said == ["2 texts without a label are left out"]


def test_boolean_labels_in_two_spellings_are_said(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,label\na,True\nb,true\nc,False\n")
    assert any("'True' (1 texts) and 'true' (1 texts)" in each for each in load(path)[1])
    assert load(path, normalize_labels=True)[0].counts == {"False": 1, "True": 2}


def test_how_many_texts_each_label_has_is_listed() -> None:
    assert listed({"pos": 40, "neg": 1200}) == "neg: 1,200, pos: 40"
    assert listed({str(n): 1 for n in range(12)}).endswith(", 9: 1 and 2 more labels")


# -- tables -------------------------------------------------------------------------------------


def parquet(texts: pa.Array, names: tuple[str, ...] = ("text", "label")) -> bytes:
    """Return a file of these texts in row groups of one row, each with a label of its own."""
    sink, labels = pa.BufferOutputStream(), [f"label {n}" for n in range(len(texts))]
    pq.write_table(pa.table([texts, labels], names=names), sink, row_group_size=1)
    return bytes(sink.getvalue())


def not_utf8() -> pa.Array:
    offsets = pa.py_buffer(b"".join(n.to_bytes(4, "little") for n in (0, 4, 8)))
    return pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"goodb\xe9t.")])


ODD: dict[str, tuple[str, str | bytes, dict[str, str]]] = {
    "line feeds": ("a.csv", "text,label\na,x\nb,y\n", {}),
    "carriage returns": ("a.csv", "text,label\ra,x\rb,y\r", {}),
    "both": ("a.csv", "text,label\r\na,x\r\nb,y", {}),
    "a mark and blank lines": ("a.csv", "\ufeff\n\ntext,label\n\na,x\n\nb,y\n\n", {}),
    "semicolons": ("a.csv", "text;label\na;x\nb;y\n", {"delimiter": ";"}),
    "quotes": ("a.csv", 'text,label\n"a, ""b""\nc",x\n"",y\n', {}),
    "latin-1": ("a.csv", "text,label\na,x\ncafé,y\n".encode("latin-1"), {}),
    "utf-16": ("a.csv", "text,label\na,x\nb,y\n".encode("utf-16"), {}),
    "nul": ("a.csv", "text,label\na\0b,x\nb,y\n", {}),
    "gzip": ("a.csv.gz", gzip.compress(b"text,label\na,x\nb,y\n"), {}),
    "gzip under a wrong name": ("a.csv", gzip.compress(b"text,label\na,x\nb,y\n"), {}),
    "too few fields": ("a.csv", "text,label\na,x\nb\n", {}),
    "too many": ("a.csv", "text,label\na,x\nb,c,y\n", {}),
    "an open quote": ("a.csv", 'text,label\na,x\n"b,y\n', {}),
    "behind a quote": ("a.csv", 'text,label\na,x\n"b"c,y\n', {}),
    "empty": ("a.csv", "", {}),
    "blank": ("a.csv", "\n\n", {}),
    "doubled texts": ("a.csv", "text,text,label\na,b,x\n", {}),
    "doubled others": ("a.csv", "id,id,text,label\n1,2,a,x\n1,2,b,y\n", {}),
    "no texts": ("a.csv", "review,label\na,x\n", {}),
    "no ending": ("data", "text,label\na,x\nb,y\n", {}),
    "no ending but a format": ("data", "text,label\na,x\nb,y\n", {"input_format": "csv"}),
    "tabs": ("a.tsv", 'text\tlabel\n"a\tx\nb"\ty\n', {}),
    "tabs, carriage returns": ("a.tsv", "text\tlabel\ra\tx\rb\ty\r", {}),
    "objects": ("a.jsonl", '{"text": "a", "label": 1}\n\n{"label": "2", "text": "b"}\r\n', {}),
    "ndjson": ("a.ndjson", '\ufeff{"text": "a", "label": 1}\n{"text": "b", "label": 2}', {}),
    "no text": ("a.jsonl", '{"text": "a", "label": 1}\n{"label": 2}\n', {}),
    "a null": ("a.jsonl", '{"text": "a", "label": 1}\n{"text": null, "label": 2}\n', {}),
    "a number": ("a.jsonl", '{"text": "a", "label": 1}\n{"text": 5, "label": 2}\n', {}),
    "a doubled name": ("a.jsonl", '{"text": "a", "label": 1}\n{"text": "b", "text": "c"}\n', {}),
    "half an emoji": ("a.jsonl", '{"text": "a", "label": 1}\n{"text": "\\ud83d"}\n', {}),
    "no object": ("a.jsonl", '{"text": "a", "label": 1}\n[1]\n', {}),
    "NaN": ("a.jsonl", '{"text": "a", "label": 1}\n{"text": "b", "label": NaN}\n', {}),
    "no JSON": ("a.jsonl", '{"text": "a", "label": 1}\n{"text": \n', {}),
    "deep": ("a.jsonl", '{"text": "a", "label": 1}\n' + "[" * 100_000 + "\n", {}),
    "JSON in utf-16": ("a.jsonl", '{"text": "a", "label": 1}\n'.encode("utf-16-le"), {}),
    "no Parquet": ("a.parquet", "text,label\n", {}),
    "Parquet": ("a.parquet", parquet(pa.array(["a", "b"])), {}),
    "Parquet by another name": ("a.pq", parquet(pa.array(["a", "b"], pa.large_string())), {}),
    "Parquet under a name of text": ("a.csv", parquet(pa.array(["a", "b"])), {}),
    "Parquet of categories": ("a.parquet", parquet(pa.array(["a", "b"]).dictionary_encode()), {}),
    "Parquet of bytes": ("a.parquet", parquet(pa.array([b"a", b"b"])), {}),
    "Parquet of bad bytes": ("a.parquet", parquet(pa.array([b"a", b"\xff"])), {}),
    "Parquet of bad strings": ("a.parquet", parquet(not_utf8()), {}),
    "Parquet with a null": ("a.parquet", parquet(pa.array(["a", None])), {}),
    "Parquet of nulls": ("a.parquet", parquet(pa.nulls(2)), {}),
    "Parquet of numbers": ("a.parquet", parquet(pa.array([1, 2])), {}),
    "Parquet without texts": ("a.parquet", parquet(pa.array(["a", "b"]), ("x", "label")), {}),
    "Parquet without an end": ("a.parquet", parquet(pa.array(["a", "b"]))[:-9], {}),
    "a spreadsheet": ("a.xlsx", b"PK\x03\x04" + bytes(30), {}),
    "a packed file": ("a.csv.bz2", b"BZh91AY&SY", {}),
    "a long text": ("a.csv", f"text,label\na,x\n{'b' * 1_000_001},y\n", {}),
}


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_table_is_read_alike_for_training_and_scoring(kind: str, tmp_path: Path) -> None:
    name, content, options = ODD[kind]
    path = write(tmp_path / name, content)
    texts: list[str] = []
    sentence = None
    try:
        reader = open_source(path, Options(**options))  # type: ignore[arg-type]
        refuse_doubles(reader.names, hint="")  # as each program does, with its own hint
        for window in reader.windows(Position()):
            texts += window.texts.good
            sentence = sentence or next(iter(window.texts.errors.values()), None)
    except ScoreError as error:
        sentence = str(error)
    if sentence is None:
        assert load(path, **options)[0].texts == texts
    else:
        assert sentence in refusal(path, **options)


def test_an_empty_name_is_not_the_working_folder() -> None:
    with pytest.raises(ExportError, match="an empty name was given"):
        data.load("")


def test_a_table_may_be_several_files(tmp_path: Path) -> None:
    folder(tmp_path, {"p/1.csv": "text,label\na,x\n", "p/2.csv": "text,label\nb,y\n"})
    assert pairs(load(tmp_path / "p/*.csv")[0]) == [("a", "x"), ("b", "y")]
    assert "files such as '1.csv' are tables: say so with --input-format" in refusal(tmp_path / "p")
    assert len(load(tmp_path / "p", input_format="csv")[0]) == 2
    write(tmp_path / "p/3.csv", "text,label\nb,\n")
    assert refusal(tmp_path / "p/*.csv").startswith(f"{tmp_path}/p/3.csv: line 2: no label")


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("text,label,label\na,x,1\n", {}, "2 columns 'label' among 'text', 'label', 'label'"),
        ("text,b,b,label\na,1,2,x\n", {}, "2 columns 'b': give each another name"),
        ("text,y\na,x\n", {}, "no column 'label' among 'text', 'y'"),
        ("4,a\n0,b\n", {}, "no column 'text' among '4', 'a': one is needed; name it with --text-"),
        ("4,a\n0,b\n", {}, "--delimiter (the first line must be one of names)"),
        ("text,y\na,x\n", {"label_column": "text"}, "--label-column both are 'text'"),
        ("text,label\na,x\n", {"delimiter": ";;"}, "delimiter is ';;', one ASCII character"),
        ("text,label\na,x\n", {"input_format": "text"}, "lines of text have no labels"),
    ],
)
def test_columns_that_cannot_be_meant_are_refused(
    content: str, options: dict[str, str], message: str, tmp_path: Path
) -> None:
    assert message in refusal(write(tmp_path / "a.csv", content), **options)


def test_a_column_whose_name_differs_from_anothers_in_case_only_is_said(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "Label,text,label\nu,a,x\nv,b,y\n")
    found, said = load(path)
    assert found.label_names == ("x", "y")
    assert said == ["the columns 'Label' and 'label' differ in case only: 'label' is read"]


def test_two_columns_of_one_name_are_refused_in_parquet(tmp_path: Path) -> None:
    table = pa.table([["a", "b"], ["x", "y"], ["x", "z"]], names=["text", "label", "label"])
    pq.write_table(table, tmp_path / "a.parquet")
    assert "2 columns 'label' among" in refusal(tmp_path / "a.parquet")


def test_a_lost_quote_that_swallows_lines_is_said_with_its_span(tmp_path: Path) -> None:
    lines = ["text,label", 'a,"x', *["b,y"] * 1500, 'c",x', "d,y"]
    path = write(tmp_path / "a.csv", "\n".join(lines))
    with pytest.raises(ExportError):  # the label holds line ends
        data.load(str(path))
    lines = ["label,text", 'x,"a', *["y,b"] * 1500, 'x,c"', "y,d"]
    found, said = load(write(path, "\n".join(lines)))
    assert len(found) == 2
    assert said[0].startswith(f"{path}: lines 2 to 1503 are one record")


# -- duplicates ---------------------------------------------------------------------------------


def test_texts_of_the_same_words_are_one_text_whatever_their_spelling() -> None:
    words = Tokenizer([None], keras_rules(100)).words
    texts = [
        "A good film!",
        "a GOOD film",
        "a good  film...",
        "good a film",
        "",
        "?!",
        "a1",
    ]
    labels = np.array([0, 1, 0, 0, 1, 0, 1], np.int32)
    found, conflicts = data.drop_duplicates(data.Dataset(texts, labels, ("a", "b")), words)
    assert found.texts == ["A good film!", "good a film", "", "a1"]
    assert conflicts == 2


def test_texts_of_other_words_are_kept_however_near_they_are() -> None:
    words = Tokenizer([None], keras_rules(100)).words
    texts = [
        "ab c",
        "a bc",
        "abc",
        "AB C",
        "ab-c",
        "ab\u00a0c",
        "ab\rc",
        "\u0130x",
        "i\u0307x",
        "ix",
        "ab'c",
    ]
    labels = np.arange(len(texts)).astype(np.int32) % 2
    found, _ = data.drop_duplicates(data.Dataset(texts, labels, ("a", "b")), words)
    wanted: dict[tuple[str, ...], str] = {}
    for text in texts:
        wanted.setdefault(tuple(words(text)), text)
    assert found.texts == list(wanted.values())
    assert len(found) == 8


def test_what_is_shipped_and_folders_are_no_tables(tmp_path: Path) -> None:
    sources = ["reviews", "sentences", str(tmp_path), "", "a.csv"]
    assert [data.is_table(source, None) for source in sources] == [False] * 3 + [True] * 2
    assert data.is_table(str(tmp_path), "csv")
