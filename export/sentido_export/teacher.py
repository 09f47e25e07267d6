"""A teacher: linear models of n-grams, whose answers a model learns beside the labels.

They say how far a text is to be believed, and label parts and beginnings of texts, which no person
has labelled. It is the mean of three logistic regressions: of binary n-grams scaled by how much
more common they are under a label (S. Wang and C. D. Manning, "Baselines and bigrams", ACL 2012),
of TF-IDF, and of the first again on words that are marked behind a negator (S. Das and M. Chen,
"Yahoo! for Amazon", 2001). It is cross-fitted: whoever answers a text has not seen it, nor one that
is nearly equal.

A linear model's score of a text is a sum over its n-grams, so its scores of all beginnings of the
text are that sum's partial ones.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack
from scipy.special import softmax
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression

from sentido_export.errors import ExportError
from sentido_export.ngrams import Found, NGrams, Numbered, Numbers, Prefixes, Words, are_new, marked
from sentido_export.temperature import Scores, fit_temperature

_LEAST_SPREAD = 1e-3  # of scores; a member whose answers differ less knows nothing
_NEVER = -5.0  # score of a label that no text of the other folds has
_AT_ONCE = 10_000_000  # terms of scores that are added up together

_Values = NDArray[np.float64]
_Places = NDArray[np.int64]


@dataclass(frozen=True)
class Pupils:
    """Texts of one kind, whose answers get a temperature of their own."""

    texts: Sequence[str]
    labels: NDArray[np.int32]  # (texts,)
    folds: NDArray[np.int64]  # (texts,), by whose teacher they are not seen
    prefixes: Prefixes
    are_seen: bool = True  # by the teachers of the other folds; else they are only answered


@dataclass(frozen=True)
class Answers:
    """The probabilities that a teacher gives the texts of one kind, and their prefixes."""

    texts: NDArray[np.float32]  # (texts, labels)
    prefixes: NDArray[np.float32]  # (prefixes, labels)


@dataclass(frozen=True)
class _Member:
    """One of the models that a teacher is the mean of."""

    is_marked: bool  # whether words behind a negator are other words
    longest: int  # n-gram
    least: int  # texts that an n-gram is in
    strength: float  # liblinear's C
    is_scaled: bool  # by naive Bayes; else TF-IDF


_MEMBERS = (
    _Member(is_marked=False, longest=3, least=2, strength=0.3, is_scaled=True),
    _Member(is_marked=False, longest=3, least=3, strength=30.0, is_scaled=False),
    _Member(is_marked=True, longest=2, least=2, strength=0.3, is_scaled=True),
)


def answers(
    kinds: Sequence[Pupils],
    label_count: int,
    words: Callable[[str], Words],
    negators: Sequence[str],
    label_weights: NDArray[np.float32] | None = None,
) -> list[Answers]:
    """Return what the teacher says of each kind of texts, which `words` splits.

    `label_weights`: how much a text of each label counts to a teacher that learns. Its answers are
    probabilities all the same: what the weights add is taken out of them again.
    Raises ExportError if no word is in several texts.
    """
    weights = np.ones(label_count) if label_weights is None else label_weights.astype(np.float64)
    plain = _numbered(kinds, words)
    behind = _numbered(kinds, lambda text: marked(words(text), frozenset(negators)))
    asked = [_asked(*pair) for pair in zip(kinds, plain, strict=True)]
    totals = [np.zeros((len(of_kind.of), label_count)) for of_kind in asked]
    for member in _MEMBERS:
        numbered = behind if member.is_marked else plain
        scores = _cross_fitted(member, kinds, numbered, asked, weights)
        seen = [s[: len(k.texts)] for s, k in zip(scores, kinds, strict=True) if k.are_seen]
        spread = max(float(np.concatenate(seen).std()), _LEAST_SPREAD)
        for total, found in zip(totals, scores, strict=True):
            total += found / spread
    return [_probabilities(*pair, weights) for pair in zip(totals, kinds, strict=True)]


def _probabilities(scores: Scores, kind: Pupils, label_weights: _Values) -> Answers:
    count = len(kind.texts)
    temperature = fit_temperature(scores[:count], kind.labels, label_weights[kind.labels])
    unweighted = scores / temperature - np.log(label_weights)
    probabilities = softmax(unweighted, axis=1).astype(np.float32)
    return Answers(probabilities[:count], probabilities[count:])


def _numbered(kinds: Sequence[Pupils], words: Callable[[str], Words]) -> list[Numbered]:
    """Give each word of the texts that are seen a number, and return the texts of each kind."""
    numbers = Numbers()
    seen = iter([numbers.learn(map(words, kind.texts)) for kind in kinds if kind.are_seen])
    return [next(seen) if k.are_seen else numbers.of(map(words, k.texts)) for k in kinds]


def _asked(kind: Pupils, texts: Numbered) -> Prefixes:
    """Return what is answered: all words of each text, and then its prefixes."""
    return Prefixes(
        np.concatenate([np.arange(len(texts)), kind.prefixes.of]),
        np.concatenate([np.diff(texts.starts), kind.prefixes.words]),
    )


def _cross_fitted(
    member: _Member,
    kinds: Sequence[Pupils],
    numbered: Sequence[Numbered],
    asked: Sequence[Prefixes],
    label_weights: _Values,
) -> list[Scores]:
    """Return a member's scores of what is asked, each from the model that has not seen its fold."""
    seen = [(kind, texts) for kind, texts in zip(kinds, numbered, strict=True) if kind.are_seen]
    ngrams = NGrams([texts for _, texts in seen], member.longest, member.least)
    if ngrams.count == 0:
        raise ExportError(
            "no word is in several training texts, a teacher learns nothing: --teacher off"
        )
    rows = vstack([ngrams.counts(texts) for _, texts in seen], "csr")
    labels = np.concatenate([kind.labels for kind, _ in seen])
    folds = np.concatenate([kind.folds for kind, _ in seen])
    idf = None
    if member.is_scaled:
        rows.data[:] = 1
    else:
        weigh = TfidfTransformer(sublinear_tf=True).fit(rows)
        rows, idf = weigh.transform(rows), weigh.idf_
    scores = [np.zeros((len(of_kind.of), len(label_weights))) for of_kind in asked]
    for fold in np.unique(np.concatenate([kind.folds for kind in kinds])):
        others = folds != fold
        model = _fit(member, rows[others], labels[others], label_weights, idf)
        for kind, texts, of_kind, found in zip(kinds, numbered, asked, scores, strict=True):
            of_fold = np.flatnonzero(kind.folds == fold)
            for part in _parts(of_fold, texts, member.longest * len(label_weights)):
                which = np.isin(of_kind.of, part)
                of = np.searchsorted(part, of_kind.of[which])
                these = texts.take(part)
                found[which] = model.scores(
                    these, ngrams.find(these), Prefixes(of, of_kind.words[which])
                )
    return scores


def _parts(texts: _Places, numbered: Numbered, each: int) -> Iterator[_Places]:
    """Split texts, so that not too many terms are added up at once. `each`: terms of a word."""
    words = int(np.diff(numbered.starts)[texts].sum())
    yield from np.array_split(texts, 1 + words * each // _AT_ONCE)


@dataclass(frozen=True)
class _Model:
    """A linear model of n-grams, for each label or for two at once."""

    weights: _Values  # (n-grams, labels or 1)
    biases: _Values  # (labels or 1,)
    idf: _Values | None  # (n-grams,); None: what counts is whether an n-gram is in a text

    def scores(self, texts: Numbered, found: Found, asked: Prefixes) -> Scores:
        """Return the scores of texts' first words: (prefixes, labels)."""
        before = _before(found)
        weights = self.weights[found.ngrams]
        starts = texts.starts[asked.of]
        places = np.searchsorted(found.ends, [starts, starts + asked.words])
        if self.idf is None:
            scores = _between(np.where(before == 0, 1.0, 0.0)[:, None] * weights, places)
        else:
            idf, now, then = self.idf[found.ngrams], _sublinear(before + 1), _sublinear(before)
            scores = _between(((now - then) * idf)[:, None] * weights, places)
            squares = _between((now**2 - then**2) * idf**2, places)
            scores /= np.sqrt(np.where(squares > 0, squares, 1))[:, None]
        scores += self.biases
        return np.hstack([-scores / 2, scores / 2]) if scores.shape[1] == 1 else scores


def _before(found: Found) -> _Places:
    """Return how often each n-gram was in its text before."""
    order = np.lexsort((found.ngrams, found.texts))
    is_first = are_new(found.texts[order], found.ngrams[order])
    places = np.arange(len(order))
    before = np.empty(len(order), np.int64)
    before[order] = places - np.maximum.accumulate(np.where(is_first, places, 0))
    return before


def _sublinear(counts: _Places) -> _Values:
    """Return 1 + ln(count), and 0 for 0, as TfidfTransformer counts."""
    return np.where(counts > 0, 1 + np.log(np.maximum(counts, 1)), 0.0)


def _between(terms: _Values, places: _Places) -> _Values:
    """Return the sums of terms between two places each. `places`: (2, sums)."""
    totals = np.concatenate([np.zeros((1, *terms.shape[1:])), terms.cumsum(axis=0)])
    sums: _Values = totals[places[1]] - totals[places[0]]
    return sums


def _fit(
    member: _Member,
    rows: Any,
    labels: NDArray[np.int32],
    label_weights: _Values,
    idf: _Values | None,
) -> _Model:
    """Fit one label against the rest, for each label; of two the second's model is both's."""
    of_labels = [1] if len(label_weights) == 2 else range(len(label_weights))
    counts = label_weights[labels]
    fitted = [_one_against_the_rest(member, rows, labels == label, counts) for label in of_labels]
    weights, biases = zip(*fitted, strict=True)
    return _Model(np.stack(weights, axis=1), np.array(biases), idf)


def _one_against_the_rest(
    member: _Member, rows: Any, is_label: NDArray[np.bool_], counts: _Values
) -> tuple[NDArray[np.float64], float]:
    if is_label.all() or not is_label.any():
        return np.zeros(rows.shape[1]), -_NEVER if is_label.all() else _NEVER
    scale = _log_count_ratio(rows, is_label) if member.is_scaled else np.ones(rows.shape[1])
    model = LogisticRegression(
        C=member.strength, solver="liblinear", dual=True, random_state=0, tol=1e-3, max_iter=1000
    )
    scaled = (rows.data * scale[rows.indices], rows.indices, rows.indptr)
    model.fit(csr_array(scaled, shape=rows.shape), is_label, sample_weight=counts)
    return model.coef_[0] * scale, float(model.intercept_[0])


def _log_count_ratio(rows: Any, is_label: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return how much more common each n-gram is under the label, smoothed by one text."""
    inside, outside = (1 + np.asarray(rows[which].sum(axis=0)) for which in (is_label, ~is_label))
    ratio: NDArray[np.float64] = np.log(inside / inside.sum()) - np.log(outside / outside.sum())
    return ratio
