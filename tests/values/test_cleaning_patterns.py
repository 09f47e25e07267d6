"""Patterns of cleaning: what runs them, and that they match what Python's re matches."""

import random
import re
import time

import pytest
from sentido_bundle.cleaning.errors import StepError
from sentido_bundle.cleaning.linear import LinearPattern
from sentido_bundle.cleaning.steps import Replace
from sentido_bundle.cleaning.syntax import parse

ANY_LENGTH = 10**9

IN_RE = [
    r"[^a-zA-Z]+",
    r"[^\w\s]",
    r"[^a-zA-Z0-9 ]",
    r"\d+",
    r"[0-9]{5,}",
    r"\s+",
    r" {2,}",
    r"\s{2,}",
    r"\n",
    r"\n|\r|\t",
    r"<br />",
    r"<br />|&nbsp;|&amp;|&quot;",
    r"@\w+",
    r"@[A-Za-z0-9_]+",
    r"#(\w+)",
    r"https?://\S+|www\.\S+",
    r"http\S+",
    r"n't",
    r"won\'t|can\'t|shan\'t",
    r"'(?:s|re|ve|ll|d|m)\b",
    r"\b\w{1,2}\b",
    r"\b[a-zA-Z]\b",
    r"(.)\1{2,}",
    r"[!?.]{2,}",
    r"([.!?,])",
    r"^RT",
    r"(?i)[^a-zß]",
    r"[\U0001F600-\U0001F64F\U0001F300-\U0001F5FF☀-⛿]+",
    r"[^\x00-\x7F]+",
    r"(?<=\d)k\b",
]
BY_AUTOMATON = [
    r"<[^>]+>",
    r"<.*?>",
    r"<[^<]+?>",
    r"<.*?>|&([a-z0-9]+|#[0-9]{1,6}|#x[0-9a-f]{1,6});",
    r"\[[^]]*\]",
    r"\([^()]*\)",
    r"\s+[a-zA-Z]\s+",
    r"^\s+|\s+$",
    r"\s+\Z",
    r"\w*\d\w*",
    r"[\w.+-]+@[\w-]+\.[\w.-]+",
    r"(?m)^>.*$\n?",
    r"(?is)<script.*?</script>",
    r"(?:\w+\s)?won't|\w+n't",
    r"\b(?:a|an|the)\b\s*\w+ly\b",
    r"a.*b|a",
    r"(?:ab|a)(?:bc|c)*?d",
    r"\w+\B\S?x",
    r"(?i)stra(?:ß|ss)e*n",
    r"[^\W\d_]+(?:-[^\W\d_]+)+",
]
CHARACTERS = (
    "aabbcdxyzABZsStTkK019 \t\n\r<>/&;#@.,:'!?-_()[]|éßẞſKİıΣςÀ٣५Ⅻ\u00a0\u3000\x1c\x85\u2028’…"
    "😀🏽\u0301\ud800"
)
PIECES = [
    *("<br />", "<b>", "&nbsp;", "&#39;", "https://x.y/z?a=b", "www.a.b", "@name", "#tag", "can't"),
    *("won't", "  ", "\n> quoted\n", "(aside)", "[1]", "a@b.cd", "STRASSEN", "straßen", "sooo"),
    *("well-known", "RT", "<script>x\n</script>", "12345", "3rd", "5k", "abcbcd", "acd"),
]


def texts_of(pattern: str, count: int) -> list[str]:
    generator = random.Random(pattern)

    def piece() -> str:
        if generator.random() < 0.2:
            return generator.choice(PIECES)
        return generator.choice(CHARACTERS)

    return ["".join(piece() for _ in range(generator.randrange(25))) for _ in range(count)]


def spans_of(pattern: str, text: str) -> list[tuple[int, int]]:
    return [match.span() for match in re.finditer(pattern, text)]


@pytest.mark.parametrize("pattern", [*IN_RE, *BY_AUTOMATON])
def test_a_step_replaces_what_python_replaces(pattern: str, pytestconfig: pytest.Config) -> None:
    step = Replace(pattern, " x\\\\ ")
    assert step.engine == ("re" if pattern in IN_RE else "automaton")
    for text in texts_of(pattern, pytestconfig.getoption("--cleaning-texts")):
        assert step.apply(text, ANY_LENGTH) == re.sub(pattern, " x\\\\ ", text), text
        assert [edit[:2] for edit in step.edits(text)] == spans_of(pattern, text), text


@pytest.mark.parametrize(
    "pattern", [each for each in IN_RE if "\\1" not in each and "<=" not in each]
)
def test_the_automaton_matches_what_python_matches(
    pattern: str, pytestconfig: pytest.Config
) -> None:
    automaton = LinearPattern(parse(pattern))
    for text in texts_of(pattern, pytestconfig.getoption("--cleaning-texts")):
        assert list(automaton.spans(text)) == spans_of(pattern, text), text


def test_a_long_text_is_read_in_pieces_as_a_whole() -> None:
    pattern = r"\d+<[^>]*>|[^>]$"
    text = "1<a " * 15_000 + "2<>" * 15_000 + " "
    assert Replace(pattern, "-").apply(text, ANY_LENGTH) == re.sub(pattern, "-", text)


def random_pattern(generator: random.Random, depth: int = 3) -> str:
    kind = generator.randrange(8) if depth else 0
    if kind < 3:
        return generator.choice(
            ["a", "b", ".", r"\w", r"\s", r"\d", "[^a]", "[ab]", r"\b", r"\B", "x", "(?i:S)"]
        )
    inner = random_pattern(generator, depth - 1)
    if kind < 5:
        return inner + random_pattern(generator, depth - 1)
    if kind == 5:
        return f"(?:{inner}|{random_pattern(generator, depth - 1)})"
    repeat = generator.choice(["*", "+", "?", "{2}", "{1,3}", "*?", "+?", "??"])
    return f"(?:{inner}){repeat}"


def test_patterns_made_at_random_match_what_python_matches(pytestconfig: pytest.Config) -> None:
    generator, tried = random.Random(11), 0
    count = pytestconfig.getoption("--cleaning-texts") // 8
    while tried < count:
        pattern = random_pattern(generator)
        try:
            automaton = LinearPattern(parse(pattern))
        except StepError:
            continue
        tried += 1
        for _ in range(8):
            text = "".join(generator.choice("aabbxsSſ 1\n") for _ in range(generator.randrange(9)))
            assert list(automaton.spans(text)) == spans_of(pattern, text), (pattern, text)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        (r"(?<=a)b+c", "has a look-behind that cannot be run in linear time"),
        (r"\w+(?=ing)", "has a look-ahead that"),
        (r"\w+(?!x)y", "has a negative look-ahead that"),
        (r"(?<!a)\w+b", "has a negative look-behind that"),
        (r"(\w+) \1", "has a back-reference that"),
        (r"a*+b", "has a possessive repeat that"),
        (r"(?>a*)b", "has an atomic group that"),
        (r"(a)?b*(?(1)c|d)", "has a conditional group that"),
        (r"\s*", "matches the empty text, too"),
        (r"x?", "matches the empty text, too"),
        (r"\b", "matches the empty text, too"),
        (r"(?:a*b?)+c", "repeats what can be empty"),
        (r"(?:a|b)*(?:(?:a|b){20}){50}", "is too large to be run in linear time"),
        (r"\w*x(?:a|b){14}a", "is too large"),
        ("[", "is not a pattern of Python's re: unterminated"),
        (r"a{99999999999999999999}", "is not a pattern of Python's re"),
        ("(" * 480 + "a" + ")" * 480, "groups in each other|is not a pattern of Python's re"),
        ("a" * 1001, r"has 1,001 characters, at most 1,000"),
        (r"[^\s\S]+x", "matches no text at all"),
        (r"\w*(?a:\b)x\b", r"has \\b of two kinds"),
    ],
)
def test_what_cannot_be_run_exactly_is_refused_by_name(pattern: str, message: str) -> None:
    with pytest.raises(StepError, match=message):
        Replace(pattern, "")


@pytest.mark.parametrize(
    ("pattern", "replacement", "message"),
    [
        (r"(a)", r"\2", "invalid group reference"),
        (r"(a)", r"\g<name>", "unknown group name"),
        (r"(a)", r"\q", "bad escape"),
        (r"(a)+b", r"\1", "refers to a group, which is possible only where Python's re runs"),
    ],
)
def test_a_replacement_that_cannot_be_made_is_refused_by_name(
    pattern: str, replacement: str, message: str
) -> None:
    with pytest.raises(StepError, match=message):
        Replace(pattern, replacement)


def test_references_to_groups_are_pythons_where_re_runs_the_pattern() -> None:
    for pattern, replacement in ((r"([.!?,])", r" \1 "), (r"(.)\1{2,}", r"\g<1>\1")):
        step = Replace(pattern, replacement)
        for text in texts_of(pattern, 50):
            assert step.apply(text, ANY_LENGTH) == re.sub(pattern, replacement, text)


def test_no_warning_is_printed_for_a_class_that_may_mean_something_else_one_day() -> None:
    assert Replace("[[a]", "").apply("[a]", ANY_LENGTH) == "]"


HOSTILE_TEXTS = [
    *("<" * 100_000, "<>" * 50_000, "<&nbsp;" * 14_285, "<a" * 50_000, "a" * 100_000),
    *("1" * 100_000, "a1 " * 33_333, " a" * 50_000, "é" * 100_000, "ab" * 50_000),
    *(" " * 100_000, "😀" * 100_000, "a.a@" * 25_000, "(" * 100_000, "\n" * 100_000),
    *("don't " * 16_666, "themselves " * 9_090, "aab" * 33_333, "K" * 100_000, "İ" * 100_000),
]
HOSTILE_PATTERNS = [
    *(r"(a|ab)*?c|.", r"[ab]*a[ab]{7}", r"(?i)[a-z]*'s", r"\s+\w\s+|.", r"(?:a{1,30}a)+b"),
    *(r"a{8}b|a", r"\w+\s+\w+\s+\w+x|\w", r"<(?:[^<>]|<[^<>]*>)*>", r"(?i)(?:k|s)+(?:ſ|i)"),
    "i|me|my|we|our|you|your|he|him|his|she|her|it|its|them|their|the|a|an",
    *("|".join("a" * n + "b" for n in range(1, 13)), "a" * 90 + "b|" + "a" * 80 + "c"),
    r"\b(?:themselves|themself|theme|them|these|thesis|the)\b",
]


@pytest.mark.nightly
@pytest.mark.parametrize("pattern", [*IN_RE, *BY_AUTOMATON, *HOSTILE_PATTERNS])
def test_no_text_of_100_000_characters_takes_a_step_50_milliseconds(pattern: str) -> None:
    step = Replace(pattern, " ")
    for text in HOSTILE_TEXTS:
        seconds = []
        for _ in range(3):
            start = time.process_time()
            step.apply(text, ANY_LENGTH)
            seconds.append(time.process_time() - start)
        assert min(seconds) <= 0.05, text[:20]
