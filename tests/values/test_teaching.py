"""What a model learns from: a teacher's answers, parts of texts, made sentences."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from sentido_bundle import Inputs, Layout, Tokenizer, Truncation, fit_vocabulary
from sentido_evaluate.behaviour.suite import parse_suite
from sentido_export.data import Dataset
from sentido_export.errors import ExportError
from sentido_export.export import keras_rules
from sentido_export.lessons import Lessons, PrefixTargets, Spans, lessons_of
from sentido_export.model import Held
from sentido_export.ngrams import NGrams, Numbers, Prefixes, marked
from sentido_export.recipe import BEST, MOST_SPANS, Recipe, Teacher
from sentido_export.split import folds, groups
from sentido_export.temperature import Trust, fit_temperature, log_loss, log_probabilities
from sentido_export.templates import Templates
from sentido_export.train import log_loss as training_loss

WORDS = ["good", "bad", "film", "it", "was", "plot", "!", "don't", "not", "ünïcode", "why"]
TEMPLATES = b"""
[words]
good = ["good", "fine"]
[[check]]
group = "a"
form = "b"
expect = "pos"
texts = ["truly {good}"]
[[check]]
group = "a"
form = "c"
expect = "neg"
texts = ["hardly {good}"]
"""


def drawn(seed: int, count: int, least: int = 0, most: int = 30) -> list[str]:
    generator = np.random.default_rng(seed)
    sizes = generator.integers(least, most, count)
    return [" ".join(generator.choice(WORDS, size)) for size in sizes]


def split(texts: Sequence[str]) -> list[list[str]]:
    return [text.split() for text in texts]


@pytest.mark.parametrize("longest", [1, 2, 3])
def test_ngrams_are_counted_as_by_scikit_learn(longest: int) -> None:
    from sklearn.feature_extraction.text import CountVectorizer  # seconds, in one worker only

    texts, others = drawn(1, 60), [*drawn(2, 30), "", "new words only", "film new film"]
    numbers = Numbers()
    numbered = numbers.learn(split(texts))
    ours = NGrams([numbered.take(np.arange(20)), numbered.take(np.arange(20, 60))], longest, 3)
    theirs = CountVectorizer(
        tokenizer=str.split, token_pattern=None, ngram_range=(1, longest), min_df=3
    ).fit(texts)
    for some, of_some in (texts, numbered), (others, numbers.of(split(others))):
        want, found = theirs.transform(some).toarray(), ours.counts(of_some).toarray()
        assert ours.count == want.shape[1] > 5
        columns = [sorted(map(tuple, table.T)) for table in (want, found)]  # in another order
        assert columns[0] == columns[1]


def test_it_is_known_where_ngrams_end() -> None:
    numbers = Numbers()
    texts = numbers.learn(split(["b a b a", "a b", "", "b a b"]))
    found = NGrams([texts], 2, least=1).find(texts)
    assert found.ends.tolist() == [0, 1, 1, 2, 2, 3, 3, 4, 5, 5, 6, 7, 7, 8, 8]
    assert found.texts.tolist() == [0] * 7 + [1] * 3 + [3] * 5
    words = found.ngrams[[0, 1, 3, 5]].tolist()
    assert words == [words[0], words[1]] * 2
    assert words[0] != words[1]


def test_words_behind_a_negator_are_other_words() -> None:
    negators = ("not", "isn't")
    assert marked(["it", "isn't", "a", "good", "film", "at", "all", "good"], negators) == [
        *("it", "isn't", "not a", "not good", "not film", "not at", "all", "good")
    ]
    assert marked(["not", "not", "bad"], negators) == ["not", "not", "not bad"]
    assert marked(["a", "knot"], negators) == ["a", "knot"]


NO_PREFIXES = Prefixes(np.zeros(0, np.int64), np.zeros(0, np.int64))


def taught(texts: Sequence[str], labels: Sequence[int], fold: np.ndarray, count: int) -> np.ndarray:
    """Let a teacher answer texts of so many labels."""
    from sentido_export.teacher import Pupils, answers  # scikit-learn: seconds, in one worker only

    kind = Pupils(texts, np.array(labels, np.int32), fold, NO_PREFIXES)
    (said,) = answers([kind], count, str.split, ())
    assert said.prefixes.shape == (0, count)
    return said.texts


def test_a_teacher_has_seen_neither_a_text_that_it_answers_nor_a_near_copy() -> None:
    generator = np.random.default_rng(3)
    labels = np.repeat(generator.integers(0, 2, 60), 2)
    # Labels by chance, which only the other copy gives away: by its words.
    texts = [
        " ".join(f"w{number}x{place}" for place in range(14)) + end
        for number in range(60)
        for end in (" one", " two")
    ]
    apart = folds(groups(texts), 5, seed=0)
    fair = taught(texts, labels.tolist(), apart, 2)
    assert (fair.argmax(axis=1) == labels).mean() < 0.75
    leaky = taught(texts, labels.tolist(), np.arange(120) % 2, 2)
    assert (leaky.argmax(axis=1) == labels).mean() > 0.95  # which is what is to be avoided


def test_a_teacher_knows_any_number_of_labels_and_a_label_that_a_fold_lacks() -> None:
    kinds = ["apple pear fruit", "dog cat animal", "red blue colour"]
    texts = [f"{kinds[n % 3]} number {n % 7}" for n in range(90)] + ["a rare one"] * 2
    labels = np.array([n % 3 for n in range(90)] + [3] * 2)
    fold = np.array([n % 5 for n in range(90)] + [0] * 2)
    said = taught(texts, labels.tolist(), fold, 4)
    assert said.shape == (92, 4)
    assert said.sum(axis=1) == pytest.approx(np.ones(92), abs=1e-5)
    assert (said[:90].argmax(axis=1) == labels[:90]).all()
    assert (said[90:].argmax(axis=1) != 3).all()  # no other fold has it
    assert said[90:, 3].max() < said[90:].max()


def by_scikit_learn(
    is_scaled: bool,
    texts: list[str],
    labels: np.ndarray,
    others: list[str],
    label_weights: np.ndarray,
) -> np.ndarray:
    """Score other texts by a logistic regression of binary 1- and 2-grams, or of TF-IDF."""
    from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
    from sklearn.linear_model import LogisticRegression

    counting = CountVectorizer(
        tokenizer=str.split, token_pattern=None, ngram_range=(1, 2), min_df=2, binary=is_scaled
    )
    rows = counting.fit_transform(texts)
    weigh = TfidfTransformer(sublinear_tf=True).fit(rows)
    if is_scaled:
        of_labels = [1 + rows[labels == label].sum(axis=0) for label in (0, 1)]
        negative, positive = (np.log(np.asarray(sums) / sums.sum()) for sums in of_labels)
        ratio = np.diag((positive - negative).ravel())
    model = LogisticRegression(C=0.3, solver="liblinear", dual=True, tol=1e-3, max_iter=1000)

    def features(texts: list[str]) -> Any:
        found = counting.transform(texts)
        return found @ ratio if is_scaled else weigh.transform(found)

    model.set_params(random_state=0)
    model.fit(features(texts), labels, sample_weight=label_weights[labels])
    return np.asarray(model.decision_function(features(others)))


@pytest.mark.parametrize(
    ("is_scaled", "weights"), [(True, (1, 1)), (False, (1, 1)), (True, (0.6, 3))]
)
def test_a_teacher_answers_texts_and_their_beginnings_as_scikit_learns_models_do(
    is_scaled: bool, weights: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sentido_export import teacher  # scikit-learn: seconds, in one worker only

    texts = [f"{text} film film" for text in drawn(8, 200, 1)]
    labels = np.array([text.count(" not ") + n % 5 > 3 for n, text in enumerate(texts)]).astype(int)
    generator = np.random.default_rng(9)
    of = np.sort(generator.integers(0, 20, 60))
    words = np.array([generator.integers(0, len(texts[row].split()) + 1) for row in of])
    beginnings = [" ".join(texts[row].split()[:n]) for row, n in zip(of, words, strict=True)]
    asked = texts[:20]
    counts = np.array(weights, np.float32)
    want = by_scikit_learn(is_scaled, texts, labels, [*asked, *beginnings], counts)
    member = teacher._Member(is_marked=False, longest=2, least=2, strength=0.3, is_scaled=is_scaled)
    monkeypatch.setattr(teacher, "_MEMBERS", (member,))
    monkeypatch.setattr(teacher, "fit_temperature", lambda *_: 1.0)
    monkeypatch.setattr(teacher, "_AT_ONCE", 100)
    kinds = [
        teacher.Pupils(texts, labels.astype(np.int32), np.ones(200, int), NO_PREFIXES),
        # Of another fold, so that their teacher has seen all texts.
        teacher.Pupils(
            asked, labels[:20].astype(np.int32), np.zeros(20, int), Prefixes(of, words), False
        ),
    ]
    _, said = teacher.answers(kinds, 2, str.split, (), counts)
    odds = np.log(np.concatenate([said.texts, said.prefixes]))
    found = odds[:, 1] - odds[:, 0] + np.log(weights[1] / weights[0])  # which it took out
    scale = found[0] / want[0]  # members are divided by their spread
    assert scale > 0
    assert found == pytest.approx(scale * want, abs=1e-4)
    assert np.ptp(found) > 0.2


def test_a_member_that_knows_nothing_changes_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    from sentido_export import teacher  # scikit-learn: seconds, in one worker only

    texts = drawn(8, 100, 1)
    labels = [int(" not " in text) for text in texts]
    fold = np.arange(100) % 3
    monkeypatch.setattr(teacher, "fit_temperature", lambda *_: 1.0)
    good = teacher._Member(is_marked=False, longest=1, least=2, strength=1.0, is_scaled=True)
    nothing = replace(good, longest=2, strength=1e-9)
    monkeypatch.setattr(teacher, "_MEMBERS", (good,))
    alone = taught(texts, labels, fold, 2)
    monkeypatch.setattr(teacher, "_MEMBERS", (good, nothing))
    assert taught(texts, labels, fold, 2) == pytest.approx(alone, abs=1e-3)
    assert np.ptp(alone) > 0.5


def test_a_teacher_without_words_in_common_says_what_to_do() -> None:
    texts = ["one", "two", "three", "four"]
    with pytest.raises(ExportError, match="--teacher off"):
        taught(texts, [0, 1, 0, 1], np.arange(4), 2)


def test_in_a_loss_a_text_counts_as_much_as_its_label_does() -> None:
    labels = np.array([0] * 8 + [1] * 2, np.int32)
    for_the_common, for_the_rare = np.array([[[0.9, 0.1]], [[0.6, 0.4]]], np.float32).repeat(10, 1)
    assert training_loss(for_the_common, labels) < training_loss(for_the_rare, labels)
    weights = np.array([0.6, 3.0], np.float32)
    assert training_loss(for_the_common, labels, weights) == pytest.approx(
        -(0.6 * 8 * np.log(0.9) + 3 * 2 * np.log(0.1)) / (0.6 * 8 + 3 * 2), rel=1e-6
    )
    rare = training_loss(for_the_rare, labels, weights)
    assert rare < training_loss(for_the_common, labels, weights)


def test_spans_are_parts_of_long_texts_alone() -> None:
    recipe = replace(BEST, long_text=20, spans=2)
    texts = [*drawn(4, 20, 21, 300), *drawn(5, 20, 0, 21)]
    spans = Spans.draw(texts, recipe, seed=1)
    assert len(spans.texts) == MOST_SPANS * 20
    assert spans.of.tolist() == [row for row in range(20) for _ in range(MOST_SPANS)]
    shares = []
    for span, row in zip(spans.texts, spans.of, strict=True):
        assert f" {span} " in f" {texts[row]} "
        shares.append(len(span.split()) / len(texts[row].split()))
    assert 0.05 <= min(shares) < 0.2
    assert 0.6 < max(shares) <= 0.8 + 1 / 21
    assert Spans.draw(texts, replace(recipe, spans=0), seed=1).texts == []


def lessons(recipe: Recipe) -> tuple[Lessons, Tokenizer, Dataset]:
    texts = [f"{'good' if n % 2 else 'bad'} not {text}" for n, text in enumerate(drawn(6, 40, 25))]
    texts[0] = "bad not film"
    data = Dataset(texts, np.array([n % 2 for n in range(40)], np.int32), ("neg", "pos"))
    rules = keras_rules(100)
    vocabulary, _ = fit_vocabulary([*texts, "truly hardly fine"], rules)
    tokenizer = Tokenizer(vocabulary, rules, Inputs(Layout.LENGTHS, 100, Truncation.PRE))
    listed = frozenset({"so good", "fine", "hardly"})
    templates = Templates(parse_suite("x", TEMPLATES), ("neg", "pos"), listed)
    return lessons_of([data], tokenizer, recipe, templates, seed=0), tokenizer, data


def test_templates_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "made.toml"
    path.write_bytes(b"\xef\xbb\xbf" + TEMPLATES)
    assert Templates.read(path, ("neg", "pos")).listed == {"good", "fine"}


def test_an_epoch_has_all_texts_some_spans_and_sentences_and_is_the_same_for_a_seed() -> None:
    recipe = replace(BEST, spans=3, sentences=50)
    made, tokenizer, data = lessons(recipe)
    first, again, other = (made.epoch(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert len(first) == made.size == 40 + 3 * 39 + 50
    assert all(map(np.array_equal, first.sequences, again.sequences))
    assert not all(map(np.array_equal, first.sequences, other.sequences))
    assert first.targets.sum(axis=1) == pytest.approx(np.ones(len(first)), abs=1e-5)
    hard = np.eye(2)[data.labels]
    soft = (first.targets[:40] - recipe.hard_share * hard) / (1 - recipe.hard_share)
    assert ((soft > -1e-6) & (soft < 1 + 1e-6)).all()
    assert np.abs(soft - hard).max() > 0.001
    truly, hardly = (tokenizer.lookup(word) for word in ("truly", "hardly"))
    for ids, target in zip(first.sequences[-50:], first.targets[-50:], strict=True):
        assert target[1] == pytest.approx(0.95 if truly in ids else 0.05)
        assert (truly in ids) != (hardly in ids)


def test_each_text_and_span_has_answers_to_some_of_its_beginnings() -> None:
    made, _tokenizer, data = lessons(replace(BEST, spans=1, sentences=5))
    assert made.with_prefixes
    epoch = made.epoch(np.random.default_rng(1))
    assert [row is None for row in epoch.prefixes[-5:]] == [True] * 5  # made sentences have none
    rows, right = zip(data.labels, epoch.sequences, epoch.prefixes, strict=False), list[bool]()
    for label, ids, prefixes in rows:
        assert prefixes is not None
        assert len(prefixes.tokens) == min(32, len(ids) - 1)
        assert (np.diff(prefixes.tokens, prepend=0, append=len(ids)) > 0).all()
        right.append(prefixes.targets[0].argmax() == label or prefixes.tokens[0] > 1)
        assert prefixes.targets.sum(axis=1) == pytest.approx(
            np.ones(len(prefixes.tokens)), abs=1e-5
        )
    assert np.mean(right) > 0.9  # since the first word gives the label away
    assert not lessons(replace(BEST, prefix_weight=0))[0].with_prefixes


def test_with_many_labels_fewer_beginnings_are_answered_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lessons(BEST)
    assert "beginnings" not in capsys.readouterr().out
    monkeypatch.setattr("sentido_export.lessons._MOST_NUMBERS", 2 * 5 * (40 + MOST_SPANS * 39))
    made, _, _ = lessons(BEST)
    assert (
        "with 2 labels the teacher answers 5 beginnings of a text at most"
        in capsys.readouterr().out
    )
    assert max(len(p.tokens) for p in made.texts.prefixes if p is not None) == 5
    monkeypatch.setattr("sentido_export.lessons._MOST_NUMBERS", 1)
    assert not lessons(BEST)[0].with_prefixes


def test_a_text_that_is_not_read_from_its_beginning_has_none() -> None:
    recipe = replace(BEST, max_tokens=27)
    made, tokenizer, data = lessons(recipe)
    for text, prefixes in zip(data.texts, made.texts.prefixes, strict=True):
        known = sum(tokenizer.lookup(word) is not None for word in tokenizer.words(text))
        assert (prefixes is None) == (known > 27), text
    assert {prefixes is None for prefixes in made.texts.prefixes} == {True, False}


@pytest.mark.parametrize(("common_words", "held"), [(0, {"good", "fine"}), (7, {"fine"})])
def test_made_sentences_mark_the_words_of_their_lists_but_negators_and_common_ones(
    common_words: int, held: set[str]
) -> None:
    recipe = replace(BEST, teacher=Teacher.OFF, sentences=50, common_words=common_words)
    made, tokenizer, _ = lessons(recipe)
    assert tokenizer.lookup("good") == 6
    size = len(tokenizer.vocabulary)
    epoch = made.epoch(np.random.default_rng(1))
    assert max(ids.max() for ids in epoch.sequences[:40]) < size
    found = {id for ids in epoch.sequences[40:] for id in ids.tolist()}
    assert {tokenizer.vocabulary[id - size] for id in found if id >= size} == held
    names = {tokenizer.vocabulary[id] for id in found if id < size}
    assert names == {"truly", "hardly", "good", "fine"} - held


def test_marked_words_have_their_vectors_and_do_not_move_them() -> None:
    embedding = keras.layers.Embedding(5, 3, mask_zero=True)
    held = Held(embedding)
    with tf.GradientTape() as tape:
        vectors = held(np.array([[1, 7, 3, 0]], np.int32))
        loss = keras.ops.sum(vectors)
    assert np.array_equal(vectors[0], embedding.embeddings.numpy()[[1, 2, 3, 0]])
    assert held.compute_mask(np.array([[1, 7, 3, 0]]))[0].numpy().tolist() == [*[True] * 3, False]
    gradient = tf.convert_to_tensor(tape.gradient(loss, embedding.embeddings.value))
    assert gradient[:, 0].numpy().tolist() == [1, 1, 0, 1, 0]


def test_without_a_teacher_labels_are_learned_as_they_are() -> None:
    made, _, data = lessons(replace(BEST, teacher=Teacher.OFF, sentences=0))
    epoch = made.epoch(np.random.default_rng(0))
    assert len(epoch) == made.size == 40
    assert (epoch.targets.argmax(axis=1) == data.labels).all()
    assert set(epoch.targets.ravel()) == {0.0, 1.0}


def test_words_are_left_out_of_long_texts_but_negators_and_turns_never() -> None:
    recipe = replace(BEST, teacher=Teacher.OFF, word_dropout=0.9)
    made, tokenizer, _ = lessons(recipe)
    generator = np.random.default_rng(0)
    long = np.array([tokenizer.lookup(word) for word in ["film", "not", "plot", "don't"] * 20])
    targets = PrefixTargets(np.array([1, 3, 80]), np.array([[0.1], [0.3], [0.8]], np.float32))
    left = [made.thinned(long, targets, recipe, generator) for _ in range(20)]
    for ids, prefixes in left:
        assert prefixes is not None
        assert 2 <= len(prefixes.tokens) <= 3  # of which one can lose all words
        assert prefixes.tokens[-1] == len(ids)
        first = np.flatnonzero(ids == tokenizer.lookup("not"))[0]
        assert prefixes.tokens[-2] in (first + 1, first + 2)
        assert prefixes.targets[-2:].ravel().tolist() == [*map(np.float32, (0.3, 0.8))]
        for kept in ("not", "don't"):
            assert (ids == tokenizer.lookup(kept)).sum() == 20
    assert 41 < np.mean([len(ids) for ids, _ in left]) < 47
    short, prefixes = made.thinned(long[:20], targets, recipe, generator)
    assert short.tolist() == long[:20].tolist()
    assert prefixes is targets


@pytest.mark.parametrize("labels", [2, 5])
@pytest.mark.parametrize("temperature", [0.7, 1.0, 3.0])
def test_a_temperature_undoes_what_made_answers_too_sure(labels: int, temperature: float) -> None:
    generator = np.random.default_rng(7)
    fair = generator.normal(0, 2, (6000, labels))
    shares = np.exp(fair) / np.exp(fair).sum(axis=1, keepdims=True)
    truth = (shares.cumsum(axis=1) > generator.random((6000, 1))).argmax(axis=1).astype(np.int32)
    found = fit_temperature(fair * temperature, truth)
    assert found == pytest.approx(temperature, rel=0.1)
    assert log_loss(fair * temperature, truth, found) <= log_loss(fair, truth) + 1e-6
    again = log_probabilities(shares.astype(np.float32))
    assert fit_temperature(again, truth) == pytest.approx(1, rel=0.1)


def test_how_far_answers_can_be_trusted_is_measured() -> None:
    truth = np.tile([0, 1], 500).astype(np.int32)
    sure = np.tile(np.array([[0.99, 0.01]], np.float32), (1000, 1))
    assert Trust.of(sure, truth).ece == pytest.approx(0.49, abs=1e-6)
    assert Trust.of(np.full((1000, 2), 0.5, np.float32), truth).ece == pytest.approx(0, abs=1e-6)
    assert Trust.of(np.full((1000, 2), 0.5, np.float32), truth).brier == pytest.approx(0.25)
