"""Texts are held out by group: near copies stand on one side, whatever the seed is."""

import random
from itertools import combinations

import numpy as np
import pytest
from sentido_export import data
from sentido_export.errors import ExportError
from sentido_export.shingles import Components, Words, connect
from sentido_export.split import TEST, TRAIN, VALIDATION, folds, groups, held_out

TEN = "one two three four five six seven eight nine ten"  # six phrases of five words


def together(*texts: str) -> bool:
    return len(set(groups([*texts, "something else"]).tolist())) == 2


@pytest.mark.parametrize(
    ("first", "second", "is_one"),
    [
        ("A good film!", "a GOOD film", True),
        ("good-looking", "good looking", True),
        ("don't", "dont", True),
        ("snake_case", "snake case", True),
        ("great 👍", "great 👎", True),  # emoji are no letters
        ("x²", "x", False),  # but ² is a digit
        ("STRASSE", "Straße", False),
        ("a good film", "a goood film", False),
        ("", "", True),
        ("?!", "?!", True),
        ("?!", "!?", False),
        ("", " ", False),
        (":-)", ":-(", False),
        ("0", "", False),
        (TEN, TEN + " and more words of another kind that are not in the first text", True),
        (TEN, "before it " + TEN.upper().replace(" ", ", "), True),
        (TEN, "one two three four five six seven and other words", True),  # three of six phrases
        (TEN, "one two three four five six and other words here", False),  # two of six
        (TEN, "ten nine eight seven six five four three two one", False),
        (TEN[:-4], TEN[:-4] + " and more", False),  # nine words: too short to be compared
        ("go " * 10, "and then they go go go go go home again at last, all of them", True),
        ("映画は" * 20, "映画は" * 21, False),  # one word each, without spaces
    ],
)
def test_near_copies_are_one_group(first: str, second: str, is_one: bool) -> None:
    assert together(first, second) is is_one
    assert together(second, first) is is_one


def test_groups_are_connected_by_others_and_numbered_as_they_come() -> None:
    near = TEN.replace("one two three", "three two one")
    far = near.replace("eight nine ten", "ten nine eight")
    assert not together(TEN, far)
    texts = ["a", TEN, "b", far, near, "A!", "", "b b"]
    assert groups(texts).tolist() == [0, 1, 2, 1, 1, 0, 3, 4]
    assert groups([]).tolist() == []


def words_of(rng: random.Random, vocabulary: int) -> str:
    return " ".join(f"w{rng.randrange(vocabulary)}" for _ in range(rng.randint(7, 24)))


def phrases(words: list[str]) -> set[tuple[str, ...]]:
    return {tuple(words[i : i + 5]) for i in range(len(words) - 4)}


def is_near(first: str, second: str) -> bool:
    """Say it as the documentation does, pair by pair."""
    a, b = sorted((first.split(), second.split()), key=len)
    if a == b:
        return True
    halves = [(a, b), (b, a)] if len(a) == len(b) else [(a, b)]
    shared = len(phrases(a) & phrases(b))
    return len(a) >= 10 and any(2 * shared >= len(phrases(x)) for x, _ in halves)


@pytest.mark.parametrize("seed", range(12))
def test_groups_are_what_comparing_each_pair_gives(seed: int) -> None:
    rng = random.Random(seed)
    texts = [words_of(rng, rng.choice([2, 3, 50])) for _ in range(60)]
    for _ in range(60):  # and copies, cut and spliced
        words = rng.choice(texts).split()
        cut = rng.randrange(len(words) + 1)
        texts.append(" ".join(words[:cut] + words_of(rng, 50).split()[: rng.randrange(12)]))
    wanted = list(range(len(texts)))
    for i, j in combinations(range(len(texts)), 2):
        if is_near(texts[i], texts[j]):
            wanted = [wanted[i] if number == wanted[j] else number for number in wanted]
    order = {number: place for place, number in enumerate(dict.fromkeys(wanted))}
    assert groups(texts).tolist() == [order[number] for number in wanted]


def test_thousands_of_texts_of_one_template_are_one_group() -> None:
    said: list[str] = []
    tail = " ".join(f"word{n}" for n in range(60))
    texts = [
        f"Dear customer {n}, your order {n * 7} of {n % 28} May is late: {tail}"
        for n in range(4000)
    ]
    assert set(groups(texts, said.append).tolist()) == {0}
    assert said == []


def test_where_too_much_is_shared_to_compare_all_of_it_that_is_told() -> None:
    words = Words()
    for n in range(300):
        words.add(f"{n} {TEN} {n} {n} {n}".split())
    assert connect(Components(300), words.index())
    components = Components(300)
    assert not connect(components, words.index(), most=100)
    assert set(components.numbers().tolist()) == {0}  # a template is found all the same


def test_a_common_phrase_connects_nobody() -> None:
    rng = random.Random(1)
    texts = [
        f"This review was collected as part of a promotion. {words_of(rng, 10_000)} {n} "
        + " ".join(f"{n}-{place}" for place in range(9))
        for n in range(1000)
    ]
    assert len(set(groups(texts).tolist())) == 1000


def dataset(texts: list[str], labels: list[int]) -> data.Dataset:
    names = tuple("abcdefgh"[: max(labels) + 1])
    return data.Dataset(texts, np.array(labels, np.int32), names)


@pytest.mark.parametrize("seed", range(20))
def test_a_group_is_in_one_part_and_each_part_has_its_share_of_each_label(seed: int) -> None:
    rng = random.Random(seed)
    sizes = [rng.choice([1, 1, 1, 1, 2, 3, 9]) for _ in range(600)]
    of_texts = np.repeat(np.arange(len(sizes)), sizes)
    rng.shuffle(of_texts)  # type: ignore[arg-type]
    labels = np.array(rng.choices([0, 1, 2], [80, 15, 5], k=len(of_texts)), np.int32)
    parts = held_out(of_texts, labels, 0.1, seed)
    assert all(len(set(parts[of_texts == group])) == 1 for group in range(len(sizes)))
    for label in range(3):
        held = np.bincount(parts[labels == label], minlength=3)
        assert abs(held[VALIDATION] - held[TEST]) <= 1
        assert abs(held[TEST] - 0.1 * held.sum()) <= 1
    assert (held_out(of_texts, labels, 0.1, seed) == parts).all()
    assert (held_out(of_texts, labels, 0.1, seed + 1) != parts).any()


def test_copies_are_as_likely_to_be_held_out_as_single_texts() -> None:
    sizes = [1] * 500 + [5] * 100
    of_texts = np.repeat(np.arange(600), sizes)
    labels = np.repeat(np.arange(600, dtype=np.int32) % 2, sizes)
    parts = [held_out(of_texts, labels, 0.1, seed) for seed in range(20)]
    shares = [
        np.mean([(each == TEST)[chosen].mean() for each in parts])
        for chosen in (slice(500), slice(500, None))
    ]
    assert shares[0] == pytest.approx(0.1, abs=0.02)
    assert shares[1] == pytest.approx(0.1, abs=0.02)


def test_groups_too_large_for_a_part_are_trained_on_and_a_rare_label_is_in_every_part() -> None:
    of_texts = np.array([0] * 60 + [1] * 30 + [2] * 10 + [*range(3, 6)])
    labels = np.array([0] * 100 + [1] * 3, np.int32)
    for seed in range(5):
        parts = held_out(of_texts, labels, 0.1, seed)
        assert {(int(part), int(label)) for part, label in zip(parts, labels, strict=True)} == {
            (part, label) for part in (TRAIN, VALIDATION, TEST) for label in (0, 1)
        }
        assert parts[0] == TRAIN


def test_a_thousand_labels_of_few_texts_in_pairs_are_each_in_every_part() -> None:
    of_texts = np.repeat(np.arange(3000), 2)
    labels = np.repeat(np.arange(1000, dtype=np.int32), 6)
    parts = held_out(of_texts, labels, 0.1, 0)
    assert len(np.unique(np.stack([parts, labels]), axis=1).T) == 3000


@pytest.mark.parametrize(
    ("of_texts", "labels", "message"),
    [
        ([0, 1, 2, 3], [0, 0, 0, 1], "only 1 text is labelled 'b': three that differ are needed"),
        ([0, 1, 2, 3, 4], [0, 0, 0, 1, 1], "only 2 texts are labelled 'b': three"),
        ([0, 1, 2, 3, 3, 4], [0, 0, 0, 1, 1, 1], "3 texts are labelled 'b', all near copies of 2"),
        ([0, 1, 2, 2, 2, 3, 4], [0, 0, 0, 1, 2, 1, 1], "only 1 text is labelled 'c'"),
        ([0, 1, 2, 0, 1, 2], [0, 0, 0, 1, 1, 1], "only 0 texts are labelled 'c'"),
    ],
)
def test_a_label_that_cannot_be_in_every_part_is_named(
    of_texts: list[int], labels: list[int], message: str
) -> None:
    with pytest.raises(ExportError) as caught:
        held_out(np.array(of_texts), np.array(labels, np.int32), 0.1, 0, "abc")
    assert message in str(caught.value)


def test_labels_that_share_their_groups_cannot_all_be_held_out() -> None:
    lines = ["abc", "ade", "afg", "bdf", "beg", "cdg", "cef"]  # any two points are on one of them
    of_texts = np.array([ord(point) - ord("a") for line in lines for point in line])
    labels = np.repeat(np.arange(7, dtype=np.int32), 3)
    with pytest.raises(ExportError, match="near copies stand in one part, and so the texts labell"):
        held_out(of_texts, labels, 0.1, 0)


def test_a_split_of_texts_shares_no_near_copy_between_its_parts() -> None:
    rng = random.Random(1)
    texts = [words_of(rng, 10_000) for _ in range(200)]
    texts += [f"{text.upper()}!!" for text in texts[:40]] + [
        f"{text} the end" for text in texts[:90]
    ]
    labels = [n % 2 for n in range(len(texts))]
    whole = dataset(texts, labels)
    parts = data.split(whole, 0.2, seed=3)
    found = [parts.train, parts.validation, parts.test]
    number = dict(zip(texts, groups(texts).tolist(), strict=True))
    sides = [{number[text] for text in part.texts} for part in found]
    assert not any(a & b for a, b in combinations(sides, 2))
    assert sorted(text for part in found for text in part.texts) == sorted(texts)


def test_folds_hold_whole_groups_and_are_of_near_size() -> None:
    of_texts = np.array([0] * 30 + [1] * 7 + [*range(2, 80)])
    found = folds(of_texts, 5, seed=0)
    assert all(len(set(found[of_texts == group])) == 1 for group in range(80))
    assert sorted(np.bincount(found).tolist()) == [21, 21, 21, 22, 30]
    assert (folds(of_texts, 5, seed=0) == found).all()
    assert (folds(of_texts, 5, seed=1) != found).any()
