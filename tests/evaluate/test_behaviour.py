"""Checks of behaviour: the files, the sentences that they make, and what counts as a failure."""

from collections import Counter
from pathlib import Path

import pytest
import variants
from evaluating import found, run
from sentido_evaluate.behaviour.suite import parse_suite, read_suite

KINDS = {"contraction", "distance", "two negators", "without", "hardly", "never", "nobody"}
KINDS |= {"litotes", "question", "comparative"}
GROUPS = {"negation", "double negation", "turns", "intensifiers", "typos", "casing"}
GROUPS |= {"names and places", "one word"}


def test_the_film_reviews_hold_forty_forms_of_negation_and_two_thousand_sentences() -> None:
    suite = read_suite("film-reviews")
    assert {check.group for check in suite.checks} == GROUPS
    negation = [check for check in suite.checks if check.group == "negation"]
    assert len(negation) >= 40
    assert sum(len(check.cases) for check in negation) >= 2000
    forms = Counter(check.form.partition(":")[0] for check in negation)
    assert {kind for kind in KINDS if forms[kind] < 2} == set()


def test_sentences_of_a_check_are_different_and_every_slot_is_filled() -> None:
    for check in read_suite("film-reviews").checks:
        assert len(set(check.cases)) == len(check.cases) >= 20
        assert not any("{" in text for pair in check.cases for text in pair), check.form
        if check.kind != "expect":
            assert all(before != after for before, after in check.cases), check.form


SUITE = """
title = "Mine"
[words]
good = ["wonderful", "superb", "great"]
who = [["John", "JOHN"], ["Mary", "MARY"]]
[[check]]
group = "plain"
form = "praise"
expect = "positive"
texts = ["A {good} film, I loved it.", "What a {good} little film."]
[[check]]
group = "plain"
form = "blame that is praise"
expect = "negative"
texts = ["A {good} film, I loved it."]
[[check]]
group = "pairs"
form = "names"
still = true
pairs = [["{who} made a {good} film.", "{who} made a {good} film."]]
[[check]]
group = "pairs"
form = "more praise"
toward = "positive"
pairs = [["A film.", "A {good} film."], ["A {good} film.", "A dull, lifeless mess."]]
"""


def test_a_byte_order_mark_and_line_ends_of_windows_are_no_matter() -> None:
    windows = b"\xef\xbb\xbf" + SUITE.replace("\n", "\r\n").encode()
    assert parse_suite("mine", windows) == parse_suite("mine", SUITE.encode())


def test_templates_make_all_combinations_and_pairs_of_words_both_sides() -> None:
    names = parse_suite("mine", SUITE.encode()).checks[2]
    assert len(names.cases) == 6
    assert ("Mary made a superb film.", "MARY made a superb film.") in names.cases


def test_of_too_many_combinations_some_of_every_word_are_taken() -> None:
    words = ", ".join(f'"w{n}"' for n in range(100))
    text = f'most = 50\n[words]\na = [{words}]\nb = [{words}]\n[[check]]\ngroup = "g"\n'
    text += 'form = "f"\nexpect = "x"\ntexts = ["{a} {b}"]\n'
    (check,) = parse_suite("mine", text.encode()).checks
    assert len(check.cases) == 50
    first, second = (len({t.split()[i] for t, _ in check.cases}) for i in (0, 1))
    assert min(first, second) > 25


def test_failures_are_counted_by_form_and_group(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(SUITE)
    (suite,) = found("--checks", tmp_path / "mine.toml")["checks"]
    forms = {form["form"]: (form["failed"], form["cases"]) for form in suite["forms"]}
    assert forms["praise"] == (0, 6)
    assert forms["blame that is praise"] == (3, 3)
    assert forms["names"] == (0, 6)  # the default bundle is blind to case
    assert forms["more praise"] == (3, 6)
    groups = {group["group"]: (group["failed"], group["cases"]) for group in suite["groups"]}
    assert groups == {"plain": (3, 9), "pairs": (3, 12)}
    assert "examples" not in suite["forms"][1]


def test_labels_of_checks_can_be_called_as_the_model_calls_them(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(SUITE)
    bundle = variants.copy(tmp_path / "bundle", labels=["0", "1"])
    code, _, err = run("--checks", tmp_path / "mine.toml", "--bundle", bundle)
    assert code == 1
    assert "--rename negative=LABEL" in err
    renamed = ("--rename", "negative=0", "--rename", "positive=1")
    (suite,) = found("--checks", tmp_path / "mine.toml", "--bundle", bundle, *renamed)["checks"]
    assert [form["failed"] for form in suite["forms"]] == [0, 3, 0, 3]


def test_examples_of_failures_are_shown_only_if_asked(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(SUITE)
    (suite,) = found("--checks", tmp_path / "mine.toml", "--texts")["checks"]
    assert suite["forms"][1]["examples"][0] == ["A wonderful film, I loved it."]


def test_the_shipped_checks_are_failed_as_is_known_of_the_default_bundle() -> None:
    """A model that reads most negations fails some, and one that knows words knows one word."""
    (suite,) = found("--checks", "film-reviews")["checks"]
    shares = {group["group"]: group["share"] for group in suite["groups"]}
    assert 0.05 < shares["negation"] < 0.1
    assert shares["one word"] < 0.05
    assert shares["casing"] == 0


CHECK = '[[check]]\ngroup = "g"\nform = "f"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = [", "is not TOML"),
        ("\udcff", "is not UTF-8"),
        ("", "holds no [[check]]"),
        ("checks = 1", "there is no key 'checks'"),
        (CHECK, "has none of expect, toward and still"),
        (CHECK + 'expect = "positive"\nstill = true', "has expect and still"),
        (CHECK + 'expect = "positive"\npairs = []', "expect needs texts"),
        (CHECK + 'expect = "positive"\ntexts = []', "texts is empty"),
        (CHECK + 'expect = "positive"\ntexts = [1]', "texts holds 1"),
        (CHECK + 'expect = "positive"\ntexts = ["{good}"]', "{good} is none of the words: none"),
        (CHECK + 'expect = ""\ntexts = ["a"]', "expect is ''"),
        (CHECK + "still = false\npairs = []", "still is not true"),
        (CHECK + 'still = true\npairs = [["a"]]', "a pair of texts is needed"),
        (CHECK + 'still = true\ntolerance = 2\npairs = ["a"]', "tolerance is 2"),
        (CHECK + 'expect = "a"\nmost = 0\ntexts = ["a"]', "most is 0"),
        (CHECK + 'expect = "a"\ntext = ["a"]', "there is no key 'text'"),
        ("[words]\na = []\n" + CHECK, "words: a is not a list"),
        ((CHECK + 'expect = "a"\ntexts = ["a"]\n') * 2, "two checks of the group 'g'"),
        (CHECK + 'expect = "great"\ntexts = ["a"]\n', "expect the label 'great', the model has"),
    ],
)
def test_a_file_that_is_wrong_is_one_line_that_names_what(
    text: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    code, out, err = run("--checks", path)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "mine.toml: " in err
    assert said in err
