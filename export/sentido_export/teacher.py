"""A teacher: linear models of n-grams, whose answers a model learns beside the labels.

They say how far a text is to be believed, and label parts of texts, which no person has labelled.
It is the mean of three logistic regressions: of binary n-grams scaled by how much more common they
are under a label (S. Wang and C. D. Manning, "Baselines and bigrams", ACL 2012), of TF-IDF, and of
the first again on words that are marked behind a negator (S. Das and M. Chen, "Yahoo! for Amazon",
2001). It is cross-fitted: whoever answers a text has not seen it, nor one that is nearly equal.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack
from scipy.special import softmax
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression

from sentido_export.errors import ExportError
from sentido_export.ngrams import NGrams, Words, marked, words_of
from sentido_export.temperature import Scores, fit_temperature

_LEAST_SPREAD = 1e-3  # of scores; a member whose answers differ less knows nothing
_NEVER = -5.0  # score of a label that no text of the other folds has


@dataclass(frozen=True)
class Pupils:
    """Texts of one kind, whose answers get a temperature of their own."""

    texts: Sequence[str]
    labels: NDArray[np.int32]  # (texts,)
    folds: NDArray[np.int64]  # (texts,), by whose teacher they are not seen
    are_seen: bool = True  # by the teachers of the other folds; else they are only answered


@dataclass(frozen=True)
class _Member:
    """One of the models that a teacher is the mean of."""

    words: Words
    longest: int  # n-gram
    least: int  # texts that an n-gram is in
    strength: float  # liblinear's C
    is_scaled: bool  # by naive Bayes; else TF-IDF


def answers(
    kinds: Sequence[Pupils], label_count: int, negators: Sequence[str]
) -> list[NDArray[np.float32]]:
    """Return what the teacher says of each kind of texts: (texts, labels) probabilities.

    Raises ExportError if no word is in several texts.
    """
    members = (
        _Member(words_of, 3, 2, 0.3, is_scaled=True),
        _Member(words_of, 3, 3, 30.0, is_scaled=False),
        _Member(marked(negators), 2, 2, 0.3, is_scaled=True),
    )
    totals = [np.zeros((len(kind.texts), label_count)) for kind in kinds]
    for member in members:
        scores = _cross_fitted(member, kinds, label_count)
        seen = [s for s, kind in zip(scores, kinds, strict=True) if kind.are_seen]
        spread = max(float(np.concatenate(seen).std()), _LEAST_SPREAD)
        for total, of_kind in zip(totals, scores, strict=True):
            total += of_kind / spread
    return [_probabilities(*pair) for pair in zip(totals, kinds, strict=True)]


def _probabilities(scores: Scores, kind: Pupils) -> NDArray[np.float32]:
    temperature = fit_temperature(scores, kind.labels)
    probabilities: NDArray[np.float32] = softmax(scores / temperature, axis=1).astype(np.float32)
    return probabilities


def _cross_fitted(member: _Member, kinds: Sequence[Pupils], label_count: int) -> list[Scores]:
    """Return a member's scores, of each text from the model that has not seen its fold."""
    seen = [text for kind in kinds if kind.are_seen for text in kind.texts]
    ngrams = NGrams(seen, member.words, member.longest, member.least)
    if ngrams.count == 0:
        raise ExportError(
            "no word is in several training texts, a teacher learns nothing: --teacher off"
        )
    rows = [ngrams.counts(kind.texts) for kind in kinds]
    if not member.is_scaled:
        weigh = TfidfTransformer(sublinear_tf=True)
        weigh.fit(vstack([r for r, kind in zip(rows, kinds, strict=True) if kind.are_seen]))
        rows = [weigh.transform(of_kind) for of_kind in rows]
    else:
        for of_kind in rows:
            of_kind.data[:] = 1
    scores = [np.zeros((len(kind.texts), label_count)) for kind in kinds]
    for fold in np.unique(np.concatenate([kind.folds for kind in kinds])):
        parts = [(kind, r, kind.folds != fold) for kind, r in zip(kinds, rows, strict=True)]
        others = vstack([r[is_other] for kind, r, is_other in parts if kind.are_seen], "csr")
        labels = np.concatenate([k.labels[is_other] for k, _, is_other in parts if k.are_seen])
        model = _fit(member, others, labels, label_count)
        for (_, r, is_other), of_kind in zip(parts, scores, strict=True):
            of_kind[~is_other] = model(r[~is_other])
    return scores


def _fit(
    member: _Member, rows: Any, labels: NDArray[np.int32], label_count: int
) -> Callable[[Any], Scores]:
    """Fit one label against the rest, for each label; of two the second's model is both's."""
    of_labels = [1] if label_count == 2 else range(label_count)
    fitted = [_one_against_the_rest(member, rows, labels == label) for label in of_labels]
    weights, biases = (np.stack(parts) for parts in zip(*fitted, strict=True))

    def scores(rows: Any) -> Scores:
        found: Scores = rows @ weights.T + biases
        return np.hstack([-found / 2, found / 2]) if label_count == 2 else found

    return scores


def _one_against_the_rest(
    member: _Member, rows: Any, is_label: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], float]:
    if is_label.all() or not is_label.any():
        return np.zeros(rows.shape[1]), -_NEVER if is_label.all() else _NEVER
    scale = _log_count_ratio(rows, is_label) if member.is_scaled else np.ones(rows.shape[1])
    model = LogisticRegression(
        C=member.strength, solver="liblinear", dual=True, random_state=0, tol=1e-3, max_iter=1000
    )
    scaled = (rows.data * scale[rows.indices], rows.indices, rows.indptr)
    model.fit(csr_array(scaled, shape=rows.shape), is_label)
    return model.coef_[0] * scale, float(model.intercept_[0])


def _log_count_ratio(rows: Any, is_label: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return how much more common each n-gram is under the label, smoothed by one text."""
    inside, outside = (1 + np.asarray(rows[which].sum(axis=0)) for which in (is_label, ~is_label))
    ratio: NDArray[np.float64] = np.log(inside / inside.sum()) - np.log(outside / outside.sum())
    return ratio
