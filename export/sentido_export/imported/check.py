"""Holds an export to the answers of the user's own program, and finds the sides it pads and cuts.

Nothing else can catch a wrong vocabulary: it gives ids, and a model answers to any ids. Knows no
files and no graphs: the ids come from a tokenizer, and a function answers to rows of them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sentido_export.errors import ExportError
from sentido_export.imported.answers import Answers
from sentido_export.imported.sides import Ids, Sides, candidates

UNCHECKED = (
    "nothing here can catch a wrong vocabulary or other text steps than those of your program: it"
    " takes answers of yours (--check answers.jsonl, see docs/your-own-model.md)"
)
"""What is to be said where no answers were given."""

LARGEST_DIFFERENCE = 2e-3
"""Up to here answers may differ as those of two machines do, if no label changes."""

_EXACT = 1e-5
_FEW_DIGITS = 3
_BATCH_ROWS = 64
_SCREENED = 24  # answers that other vocabularies are tried on
_FIRST = 4  # every so many of them first
_CONFIRMED = 200  # answers that must fit, too

Predict = Callable[[NDArray[np.int32]], NDArray[np.float32]]
"""What the model gives for padded ids: (texts, length) -> (texts, outputs)."""

Decide = Callable[[NDArray[np.float64]], NDArray[np.bool_]]
"""Which labels outputs choose: (texts, outputs) -> (texts, labels)."""


@dataclass(frozen=True)
class Checked:
    """The sides that fit, how well they fit, and sentences that the user must read."""

    sides: Sides
    largest_difference: float
    tolerance: float  # what an answer may differ by without a word
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Trial:
    sides: tuple[Sides, ...]  # which give the same ids for all the texts
    outputs: NDArray[np.float64]  # (texts, outputs)
    largest: float
    worst: int  # the text that differs most
    flips: int  # texts whose labels differ

    def fits(self, exact: float, tolerance: float) -> bool:
        """Whether the answers are these, or those of another machine."""
        return self.largest <= exact or (self.largest <= tolerance and not self.flips)


def check(
    answers: Answers,
    ids: Sequence[Ids],
    length: int,
    predict: Predict,
    decide: Decide,
    *,
    padding: str | None,
    truncating: str | None,
    tolerance: float = LARGEST_DIFFERENCE,
    others: Callable[[Sequence[str]], Iterable[tuple[str, Sequence[Ids]]]] = lambda _: (),
    explain: Callable[[], str] = lambda: "",
) -> Checked:
    """Compare answers with what `predict` gives for the ids of their texts, all of them uncut.

    A side that is None is tried both ways. `others` returns, for texts, the ids that other
    vocabularies give, each with its name; they are tried where these do not fit. `explain` returns
    what else is known of the reason, where none of them does. Raises ExportError if no sides fit
    within `tolerance` with the same labels, or if the answers cannot tell which of two do.
    """

    def trials_of(padding: str | None, truncating: str | None) -> list[_Trial]:
        return [
            _trial(answers, rows, sides, predict, decide)
            for rows, sides in candidates(ids, length, padding, truncating)
        ]

    trials = trials_of(padding, truncating)
    best = min(trials, key=lambda trial: trial.largest)
    exact = max(_EXACT, answers.rounding)
    if not best.fits(exact, tolerance):
        if padding or truncating:
            _name_other_sides(answers, trials_of(None, None), exact, padding, truncating)
        _name_other_vocabulary(answers, others, length, predict, decide)
        reason = explain() or (
            "Compare the vocabulary, the text steps before it, --max-tokens, --padding and"
            " --truncating with your program, or let it write down its ids (see"
            " docs/your-own-model.md)"
        )
        raise ExportError(f"{_why_not(answers, best, trials, max(exact, tolerance))} {reason}")
    sides = _chosen(answers, length, best, trials, exact, padding, truncating)
    return Checked(sides, best.largest, exact, tuple(_notes(answers, best, exact, sides, trials)))


def labels_of(*, thresholds: Sequence[float] | None = None, from_logits: bool = False) -> Decide:
    """Return how outputs choose labels.

    With `thresholds` each label by itself; else one output by its middle, several by the largest.
    """

    def decide(outputs: NDArray[np.float64]) -> NDArray[np.bool_]:
        if thresholds is not None or outputs.shape[1] == 1:
            middle = 0.5 if thresholds is None else np.asarray(thresholds)
            values = 1 / (1 + np.exp(-outputs.clip(-500, 500))) if from_logits else outputs
            chosen: NDArray[np.bool_] = values >= middle
            return chosen
        largest: NDArray[np.bool_] = np.eye(outputs.shape[1], dtype=bool)[outputs.argmax(axis=1)]
        return largest

    return decide


def _trial(
    answers: Answers,
    rows: NDArray[np.int32],
    sides: tuple[Sides, ...],
    predict: Predict,
    decide: Decide,
) -> _Trial:
    batches = [predict(rows[i : i + _BATCH_ROWS]) for i in range(0, len(rows), _BATCH_ROWS)]
    outputs = np.concatenate(batches).astype(np.float64)
    if outputs.shape != answers.outputs.shape:
        raise ExportError(
            f"{answers.path}: has {answers.outputs.shape[1]} probabilities per text, the model"
            f" gives {outputs.shape[1]}: write down what model.predict gave, all of it"
        )
    differences = np.abs(outputs - answers.outputs).max(axis=1)
    differences[np.isnan(differences)] = np.inf
    flips = (decide(outputs) != decide(answers.outputs)).any(axis=1)
    worst = int(differences.argmax())
    return _Trial(sides, outputs, float(differences[worst]), worst, int(flips.sum()))


def _chosen(
    answers: Answers,
    length: int,
    best: _Trial,
    trials: Sequence[_Trial],
    exact: float,
    padding: str | None,
    truncating: str | None,
) -> Sides:
    """Return the sides that fit. Raise ExportError if the answers leave open which these are."""
    if len(best.sides) > 1:
        for name, given, tokens in (
            ("padding", padding, f"1 to {length - 1}"),
            ("truncating", truncating, f"more than {length}"),
        ):
            if given is None and len({getattr(sides, name) for sides in best.sides}) > 1:
                raise ExportError(
                    f"{answers.path}: no text in it has {tokens} tokens with an id, so that"
                    f" it cannot tell {name}: add answers for such texts, or give --{name}"
                )
    for other in trials:
        is_close = other.largest <= exact and other is not best
        if is_close and np.abs(other.outputs - best.outputs).max() > _EXACT:
            raise ExportError(
                f"{answers.path}: its answers fit {best.sides[0]} and {other.sides[0]} alike: keep"
                " more of their digits, or give --padding and --truncating"
            )
    return best.sides[0]


def _name_other_sides(
    answers: Answers,
    trials: Sequence[_Trial],
    exact: float,
    padding: str | None,
    truncating: str | None,
) -> None:
    """Raise ExportError if the answers are those of other sides than the ones given."""
    best = min(trials, key=lambda trial: trial.largest)
    if best.largest <= exact:
        given = {"padding": padding, "truncating": truncating}
        named = ", ".join(f"{name}={side!r}" for name, side in given.items() if side)
        raise ExportError(
            f"{answers.path}: its answers are those of {best.sides[0]}, not those of {named}: give"
            " these sides, or leave them out"
        )


def _name_other_vocabulary(
    answers: Answers,
    others: Callable[[Sequence[str]], Iterable[tuple[str, Sequence[Ids]]]],
    length: int,
    predict: Predict,
    decide: Decide,
) -> None:
    """Raise ExportError if the answers are those that another vocabulary gives, on any sides."""
    few, more = answers.some(_SCREENED), answers.some(_CONFIRMED)
    exact, known = max(_EXACT, answers.rounding), dict[bytes, bool]()

    def fits(some: Answers, rows: NDArray[np.int32]) -> bool:
        key = rows.tobytes()
        if key not in known:
            first = np.abs(predict(rows[::_FIRST]) - some.outputs[::_FIRST])
            known[key] = bool(first.max() <= exact) and (
                _trial(some, rows, (), predict, decide).largest <= exact
            )
        return known[key]

    whole: dict[str, Sequence[Ids]] = {}
    for what, ids in others(few.texts):
        if any(fits(few, rows) for rows, _ in candidates(ids, length, None, None)):
            whole = whole or dict(others(more.texts))
            for rows, sides in candidates(whole.get(what, ()), length, None, None):
                if what in whole and fits(more, rows):
                    raise ExportError(
                        f"{answers.path}: its answers are those of a program that {what}, with"
                        f" {sides[0]}"
                    )


def _notes(
    answers: Answers, best: _Trial, exact: float, sides: Sides, trials: Sequence[_Trial]
) -> Iterator[str]:
    count = len(answers.texts)
    if len(trials) > 1:
        yield f"{answers.path}: {sides} fits; it was found by its {count:,} answers"
    if answers.digits < _FEW_DIGITS:
        yield (
            f"{answers.path}: its numbers have {answers.digits} digits behind the point, so that"
            f" differences up to {answers.rounding:g} are not seen: keep all digits"
        )
    if best.largest > exact:
        yield (
            f"{answers.path}: answers differ by up to {best.largest:.1e}, more than {exact:.1e},"
            " and no label changes: this is likely the numeric precision of the machine they come"
            " from (a GPU, half precision)"
        )
    else:
        yield f"{answers.path}: all {count:,} answers are met, within {best.largest:.1e}"


def _why_not(answers: Answers, best: _Trial, trials: Sequence[_Trial], tolerance: float) -> str:
    ours, theirs = best.outputs[best.worst], answers.outputs[best.worst]
    output = int(np.abs(ours - theirs).argmax())
    tried = f"; the best of {len(trials)} ways to pad and cut" if len(trials) > 1 else ""
    percent = (
        " The numbers in it go beyond 1: are they percentages?"
        if theirs.max() > 1 >= best.outputs.max()
        else ""
    )
    return (
        f"{answers.path}: the model does not give these answers with this vocabulary: line"
        f" {answers.lines[best.worst]} says {theirs[output]:g}, here it is {ours[output]:.4g}"
        f" ({best.sides[0]}{tried}); {best.flips} of {len(answers.texts)} labels change, and"
        f" differences up to {tolerance:g} are let pass (--check-tolerance).{percent}"
    )
