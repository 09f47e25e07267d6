"""The steps that a text takes before its tokens are looked for, and the bundles that hold them."""

import json
import random
from pathlib import Path
from typing import Any

import evaluating
import numpy as np
import pytest
from sentido_bundle import (
    Bundle,
    BundleError,
    Cleaner,
    CleaningError,
    RunLimits,
    Tokenizer,
    default_bundle,
    fit_vocabulary,
)
from sentido_bundle.cleaning import parse_cleaning
from sentido_export.data import drop_duplicates, load
from sentido_score import Options, score
from variants import with_cleaning

STEPS: list[dict[str, Any]] = [
    {"replace": "<[^>]+>", "with": " "},
    {"lower": True},
    {"replace_words": {"can't": "can not", "film.": "film"}},
    {"replace": "[^a-z]+", "with": " "},
    {"remove_words": ["the", "a"]},
]
PIECES = (
    *("The ", "A", "film.", "can't", " ", "  ", "\n", "\t", "<br />", "<", ">", "İ", "ΟΔΟΣ", "ß"),
    *("!", "wonderful ", "the", "a", "\u00a0", "\x1c", "\u3000", "ſ", "1", "'", "\u0307", "É"),
)


def texts(count: int, seed: int = 3) -> list[str]:
    generator = random.Random(seed)
    return [
        "".join(generator.choice(PIECES) for _ in range(generator.randrange(20)))
        for _ in range(count)
    ]


@pytest.mark.parametrize(
    ("steps", "text", "wanted"),
    [
        (STEPS, "I can't see<br />THE  film. A 10!", "i can not see film"),
        ([{"lower": True}], "ΟΔΟΣ İ", "ΟΔΟΣ İ".lower()),
        ([{"lower": "ascii"}], "ÉA İK\u212a", "Éa İk\u212a"),
        ([{"remove_words": ["The"]}], " The the\u00a0The\nend ", "the end"),
        ([{"remove_words": ["a"]}], "a a", ""),
        ([{"remove_words": []}], "\t a  b ", "a b"),
        ([{"replace_words": {"u": "you", "b": ""}}], "u  b c", "you  c"),
        ([{"replace": r"(\d+)", "with": r" \1 "}], "a1b", "a 1 b"),
        ([{"replace": "a", "with": "b"}, {"replace": "b", "with": "c"}], "ab", "cc"),
    ],
)
def test_steps_are_taken_in_order(steps: Any, text: str, wanted: str) -> None:
    cleaner = Cleaner(steps)
    assert cleaner.clean(text) == cleaner.align(text).text == wanted


@pytest.mark.parametrize(
    "step", [*STEPS, {"lower": "ascii"}, {"replace": r"\s+\w\s+", "with": "xyz"}], ids=str
)
def test_what_a_step_says_it_changes_is_what_it_changes(step: Any) -> None:
    cleaner = Cleaner([step])
    for text in texts(200):
        aligned = cleaner.align(text)
        assert aligned.text == cleaner.clean(text), text
        assert len(aligned.starts) == len(aligned.ends) == len(aligned.text)


def test_characters_that_no_step_changed_come_from_themselves() -> None:
    cleaner = Cleaner(STEPS)
    for text in texts(300):
        aligned = cleaner.align(text)
        assert (np.diff(aligned.starts) >= 0).all()
        assert (aligned.starts < aligned.ends).all()
        for place, character in enumerate(aligned.text):
            source = text[slice(*aligned.span(place, place + 1))]
            if character != " " and "can't" not in source.lower():
                assert character in source.lower(), (text, place)


def test_tokens_stand_where_the_caller_wrote_them() -> None:
    bundle = Bundle.load(default_bundle())
    rules, words = bundle.manifest.tokenizer, bundle.tokenizer.vocabulary
    tokenizer = Tokenizer(words, rules, cleaner=Cleaner(STEPS))
    text = "<i>Wonderful</i>, the film can't be<br/>BAD."
    tokens = tokenizer.tokens(text)
    found = [(token.text, text[token.start : token.end]) for token in tokens]
    assert found == [
        *(("wonderful", "Wonderful"), ("film", "film"), ("can", "can't"), ("not", "can't")),
        *(("be", "be"), ("bad", "BAD")),
    ]
    assert [token.id for token in tokens if token.id] == tokenizer.encode(text).ids.tolist()


def test_every_way_into_the_tokenizer_cleans() -> None:
    rules = Bundle.load(default_bundle()).manifest.tokenizer
    cleaner = Cleaner(STEPS)
    vocabulary, count = fit_vocabulary(["The film. <b>A</b> film!"], rules, cleaner)
    assert (vocabulary, count) == ([None, "film"], 1)
    tokenizer = Tokenizer([None, "film", "not"], rules, cleaner=cleaner)
    plain = Tokenizer([None, "film", "not"], rules)
    many = [*texts(300), "film. can't " * 3000]
    for text, encoding in zip(many, tokenizer.encode_all(many), strict=True):
        cleaned = plain.encode(cleaner.clean(text))
        assert encoding.character_count == len(text)
        assert encoding.ids.tolist() == tokenizer.encode(text).ids.tolist() == cleaned.ids.tolist()
        assert encoding.out_of_vocabulary_count == cleaned.out_of_vocabulary_count
        assert tokenizer.words(text) == plain.words(cleaner.clean(text))
    assert tokenizer.lookup("FILM") == 1  # a word, which is looked up as it is


@pytest.mark.parametrize(
    ("step", "name"),
    [
        ({"replace": "a", "with": "x" * 50}, "cleaning step 2 (replace 'a')"),
        ({"replace": "a", "with": r"\g<0>" * 9}, "cleaning step 2 (replace 'a')"),
        ({"replace": "a+b|a", "with": "x" * 50}, "cleaning step 2 (replace 'a+b|a')"),
        ({"replace_words": {"a": "x" * 50}}, "cleaning step 2 (replace_words)"),
    ],
)
def test_a_text_that_grows_too_long_is_refused_with_the_step(step: Any, name: str) -> None:
    cleaner = Cleaner([{"lower": True}, step], 400)
    assert cleaner.clean("a " * 4) == cleaner.align("a " * 4).text
    for change in (cleaner.clean, cleaner.align):
        with pytest.raises(CleaningError, match="characters in") as error:
            change("A " * 100)
        assert f"in {name}, at most 400 are allowed" in str(error.value)


def test_lower_case_that_is_longer_counts_too() -> None:
    with pytest.raises(CleaningError, match=r"grows to 20 characters in cleaning step 1 \(lower\)"):
        Cleaner([{"lower": True}], 15).clean("İ" * 10)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ({}, "a list of one or more steps is needed"),
        ([], "a list of one or more steps is needed"),
        (["lower"], "step 1 is 'lower': a JSON object is needed"),
        ([{"lower": True}, {"lower": False}], "step 2 (lower): lower is False: say true, or ascii"),
        ([{"stem": "porter"}], "step 1 has the field ['stem']: the steps are lower, replace"),
        ([{"lemmatize": True}], "such as a stemmer or a lemmatizer, callers must do"),
        ([{"lemmatize": True}], "export with --cleaned-by-caller"),
        ([{"replace": "a"}], 'step 1 lacks with, the text that is put in, which is "" for nothing'),
        ([{"replace": "a", "wiht": ""}], "step 1 lacks with"),
        ([{"with": "a"}], "step 1 has with and no replace"),
        ([{}], "step 1 has no fields: the steps are lower, replace"),
        ([{"lower": True, "why": ""}], "has the field 'why', which is not one of lower: such a st"),
        ([{"remove_words": [], "with": ""}], "has the field 'with', which is not one of remove_wo"),
        (
            [{"replace": "a", "with": "", "note": ""}],
            "has replace and with alone; leave the field out",
        ),
        ([{"replace": "a", "with": "", "flags": "i"}], "such as (?i) at its beginning"),
        ([{"replace": "a", "with": "", "IGNORECASE": 1}], "write (?i) at the beginning of the pa"),
        ([{"replace": "a", "with": "", "count": 1}], "it replaces all that it matches"),
        ([{"lower": True, "remove_words": ["a"]}], "has lower and remove_words: write a step for"),
        ([{"lowercase": True}], "is lower meant?"),
        ([{"removeWords": ["the"]}], "is remove_words meant?"),
        ([{"pattern": "a", "repl": ""}], "has the fields ['pattern', 'repl']: the steps are lower"),
        ([{"replace": "a", "with": 1}], "step 1 (replace 'a'): with is 1: a string is needed"),
        ([{"replace": "[", "with": ""}], "step 1 (replace '['): is not a pattern of Python's re"),
        ([{"replace": "(?=a)b+c", "with": ""}], "has a look-ahead that cannot be run in linear"),
        ([{"replace": "a", "with": "x" * 1001}], "with has 1,001 characters, at most 1,000"),
        ([{"remove_words": "the"}], "step 1 (remove_words): a list of words is needed"),
        ([{"remove_words": [1]}], "a word is 1: a string is needed"),
        ([{"replace_words": ["a"]}], "an object is needed, with what is put in the place"),
        ([{"replace_words": {"a": None}}], "a replacement is None: a string is needed"),
        ([{"lower": True}] * 65, "has 65 steps, at most 64 are allowed"),
    ],
)
def test_what_is_not_a_step_is_refused_by_its_number(steps: Any, message: str) -> None:
    with pytest.raises(BundleError) as error:
        parse_cleaning("steps.json", json.dumps(steps).encode())
    assert str(error.value).startswith("steps.json: ")
    assert message in str(error.value)


@pytest.mark.parametrize("more", [{"comment": "tags"}, {"lower": True}, {"flags": 2}])
def test_a_field_too_many_is_not_taken_for_a_stemmer(more: dict[str, Any]) -> None:
    with pytest.raises(BundleError) as error:
        parse_cleaning("steps.json", json.dumps([{"replace": "a", "with": ""} | more]).encode())
    assert next(iter(more)) in str(error.value)
    assert "stemmer" not in str(error.value)


def test_a_list_of_steps_that_is_too_long_is_refused() -> None:
    steps = [{"remove_words": ["x" * 999] * 1050}]
    with pytest.raises(BundleError, match=r"has 1,0\d\d,\d\d\d bytes, at most 1,048,576"):
        parse_cleaning("steps.json", json.dumps(steps).encode())


# -- bundles ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_cleaning(tmp_path_factory.mktemp("cleaning") / "bundle", STEPS)


def test_a_bundle_cleans_what_it_predicts(folder: Path) -> None:
    bundle, plain = Bundle.load(folder), Bundle.load(default_bundle())
    assert bundle.capabilities[-1] == "cleaning"
    assert "cleaning" not in plain.capabilities
    text = "<b>The</b> film. can't be wonderful"
    found = bundle.predict([text] * 70).probabilities[-1]
    assert np.array_equal(found, plain.predict([Cleaner(STEPS).clean(text)]).probabilities[0])
    assert not np.array_equal(found, plain.predict([text]).probabilities[0])


def test_golden_texts_hold_the_steps_to_what_they_were(folder: Path) -> None:
    files = {file.name: file.read_bytes() for file in folder.iterdir()}
    other = Cleaner([{"replace": "[aeiou]", "with": ""}, *STEPS[1:]]).dump()
    with pytest.raises(BundleError, match=r"cleaning\.json: "):
        Bundle.parse({**files, "cleaning.json": other})
    with pytest.raises(BundleError, match="does not give the ids"):
        Bundle.parse(signed({**files, "cleaning.json": other}))
    with pytest.raises(BundleError, match="has 1 steps, the manifest says 5"):
        Bundle.parse(signed({**files, "cleaning.json": Cleaner(STEPS[:1]).dump()}))
    with pytest.raises(BundleError, match=r"cleaning\.json: step 1 has the field "):
        Bundle.parse(signed({**files, "cleaning.json": b'[{"run": "rm"}]'}))


def test_the_manifest_and_the_file_need_each_other(folder: Path) -> None:
    files = {file.name: file.read_bytes() for file in folder.iterdir()}
    manifest = json.loads(files["manifest.json"])
    cases: list[tuple[dict[str, Any], str]] = [
        ({"cleaning": {"steps": 0}}, r"cleaning\.steps is 0, it must be 1 to 64"),
        ({"cleaning": None}, "files lists cleaning.json, but cleaning is missing"),
        ({"files": {**manifest["files"], "cleaning.json": None}}, "files does not list"),
    ]
    for changes, message in cases:
        changed = {name: value for name, value in (manifest | changes).items() if value is not None}
        changed["files"] = {name: facts for name, facts in changed["files"].items() if facts}
        with pytest.raises(BundleError, match=message):
            Bundle.parse({**files, "manifest.json": json.dumps(changed).encode()})


def signed(files: dict[str, bytes]) -> dict[str, bytes]:
    import hashlib

    manifest = json.loads(files["manifest.json"])
    for name in manifest["files"]:
        digest = hashlib.sha256(files[name]).hexdigest()
        manifest["files"][name] = {"bytes": len(files[name]), "sha256": digest}
    return {**files, "manifest.json": json.dumps(manifest).encode()}


def test_the_limit_of_a_text_is_that_of_who_loads_the_bundle(tmp_path: Path) -> None:
    folder = with_cleaning(tmp_path / "bundle", [{"replace": "a", "with": "x" * 100}])
    limits = RunLimits(max_text_characters=1000)
    with pytest.raises(CleaningError, match=r"grows to 5,000 characters .* at most 4,000"):
        Bundle.load(folder, limits=limits).predict(["a" * 50])
    assert len(Bundle.load(folder).predict(["a" * 50]).probabilities) == 1


def test_a_scored_file_has_an_error_in_the_row_that_grows_too_long(tmp_path: Path) -> None:
    folder = with_cleaning(tmp_path / "bundle", [{"replace": "a", "with": "x" * 100}])
    table = tmp_path / "texts.jsonl"
    table.write_text("".join(json.dumps({"text": text}) + "\n" for text in ("b", "a" * 50, "c")))
    out = tmp_path / "out.jsonl"
    options = Options(max_text_characters=1000)
    report = score(table, folder, out=out, options=options)
    assert report.errors == 1
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["error"] is None for row in rows] == [True, False, True]
    assert "grows to 5,000 characters in cleaning step 1 (replace 'a')" in rows[1]["error"]


def test_an_evaluation_leaves_out_the_row_that_grows_too_long(tmp_path: Path) -> None:
    folder = with_cleaning(tmp_path / "bundle", [{"replace": "@", "with": "x" * 1000}])
    rows = [("Wonderful!", "positive"), ("@" * 5000, "negative"), ("Awful.", "negative")]
    labelled = evaluating.write(tmp_path / "rows.csv", rows)
    code, out, err = evaluating.run(labelled, "--bundle", folder, "--json")
    assert code == 3
    assert json.loads(out)["rows"] == {"evaluated": 2, "errors": 1}
    assert "grows to 5,000,000 characters in cleaning step 1 (replace '@')" in err


def test_texts_that_are_equal_when_cleaned_are_duplicates(tmp_path: Path) -> None:
    table = tmp_path / "texts.csv"
    table.write_text("text,label\n<br>Fine,good\nfine,good\n<b>bad</b>,bad\n")
    rules = Bundle.load(default_bundle()).manifest.tokenizer
    tokenizer = Tokenizer([None], rules, cleaner=Cleaner(STEPS))
    found = load(str(table), "text", "label")
    distinct, _ = drop_duplicates(found, tokenizer.words, Cleaner(STEPS).clean)
    assert list(distinct.texts) == ["<br>Fine", "<b>bad</b>"]
