"""The evaluation that a bundle brings: written by who exports it, and read to make its page again.

It holds no times, paths or texts, and names the files that it is of.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from sentido_bundle import Bundle, BundleError, Manifest, Precision, cpus
from sentido_bundle.manifest import CLEANING
from sentido_bundle.strict_json import parse_json
from sentido_score.engines.local import Run, compute, encode
from sentido_score.formats.window import Position

from sentido_evaluate.answers import Answers, Counted
from sentido_evaluate.behaviour.asking import ask
from sentido_evaluate.behaviour.suite import Suite
from sentido_evaluate.errors import EvaluateError
from sentido_evaluate.figures.binned import PerLabel
from sentido_evaluate.model import FORMAT, model_facts
from sentido_evaluate.notes import notes
from sentido_evaluate.page.render import render_page
from sentido_evaluate.table import show
from sentido_evaluate.truth import Held

_ROWS, _CHARACTERS = 4096, 1 << 23  # that are answered at once
_OF = ("vocabulary.json", "model.onnx", "weights.bin")
_LACKS = (TypeError, KeyError, ValueError, IndexError, AttributeError, ArithmeticError)


def evaluate_texts(
    bundle: Bundle,
    texts: Iterable[str],
    truth: Sequence[Held],
    suites: Sequence[Suite] = (),
    run: Run | None = None,
) -> dict[str, Any]:
    """Evaluate a bundle on texts; `truth`: of each text, `run`: gives its answers."""
    counted = Counted(bundle)
    for answers in answered(bundle, texts, truth, run):
        counted.add(answers)
    rows = {"evaluated": len(truth), "errors": 0}
    evaluation: dict[str, Any] = {"format": FORMAT, "model": model_facts(bundle), "rows": rows}
    evaluation |= counted.figures.figures()
    evaluation["notes"] = notes(evaluation)
    evaluation["checks"] = [ask(bundle, suite, texts=False) for suite in suites]
    return evaluation


def best_thresholds(
    bundle: Bundle, texts: Iterable[str], truth: Sequence[Held]
) -> list[float | None]:
    """Return from which probability on each label gives the largest F1 on these texts.

    None for a label that no text has.
    """
    counted = PerLabel(len(bundle.labels))
    for rows in answered(bundle, texts, truth):
        counted.add(rows.probabilities(), rows.has_label())
    return counted.thresholds()


def answered(
    bundle: Bundle, texts: Iterable[str], truth: Sequence[Held], run: Run | None = None
) -> Iterator[Answers]:
    """Let a bundle answer texts, some at a time; `run`: gives its answers."""
    threads, begin = cpus.granted(), 0
    for part in _some(texts):
        scores = compute(bundle, encode(bundle, part), None, threads, run)
        kept = np.arange(len(part), dtype=np.int64)
        held = list(truth[begin : begin + len(part)])
        yield Answers(part, [], held, (scores,), kept, [], Position())
        begin += len(part)


def _some(texts: Iterable[str]) -> Iterator[list[str]]:
    """Yield texts in lists that are short and hold little."""
    part, characters = list[str](), 0
    for text in texts:
        part.append(text)
        characters += len(text)
        if len(part) == _ROWS or characters >= _CHARACTERS:
            yield part
            part, characters = [], 0
    if part:
        yield part


def dump(evaluation: Mapping[str, Any], manifest: Manifest) -> bytes:
    """Return what `evaluation.json` holds, of a bundle whose manifest names its files."""
    kept = {name: value for name, value in evaluation.items() if name != "model"}
    files = _files(manifest)
    return json.dumps({"files": files, **kept}, separators=(",", ":"), allow_nan=False).encode()


def _files(manifest: Manifest) -> dict[str, str]:
    """Return the digests of the files that answers depend on."""
    names = (*_OF, *([CLEANING] if manifest.cleaning else []))
    return {name: manifest.files[name].sha256 for name in names}


def read_stored(bundle: Bundle) -> dict[str, Any]:
    """Return the evaluation that a bundle brings. Raises EvaluateError if it cannot be shown."""
    if bundle.evaluation is None:
        raise EvaluateError(
            "nothing to evaluate: give labelled texts, or --checks; the bundle brings no evaluation"
            " of its own"
        )
    if bundle.precision is not Precision.FP32:  # whose figures are written, see `evaluate_texts`
        raise EvaluateError(
            f"the evaluation that the bundle brings is of fp32, not of {bundle.precision}: give"
            " labelled texts, or --checks"
        )
    try:
        stored = parse_json("evaluation.json", bundle.evaluation)
        if stored["format"] != FORMAT:
            raise ValueError
        of = _files(bundle.manifest)
        is_of_these = stored.pop("files") == of
        evaluation = {**stored, "model": model_facts(bundle)}
        render_page(evaluation)
        show(evaluation, Console(quiet=True))
    except BundleError as error:
        raise EvaluateError(str(error)) from error
    except _LACKS as error:
        raise EvaluateError(
            "evaluation.json: is not an evaluation that this release can show: evaluate labelled"
            " texts anew"
        ) from error
    if not is_of_these:
        raise EvaluateError(
            "evaluation.json: is of other graphs or another vocabulary than the bundle's: evaluate"
            " labelled texts anew"
        )
    return evaluation
