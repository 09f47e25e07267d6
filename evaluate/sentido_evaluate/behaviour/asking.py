"""Lets a model answer the checks of a file, and counts where it fails."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sentido_bundle import Bundle

from sentido_evaluate.behaviour.suite import Check, Suite
from sentido_evaluate.figures.binned import wilson

_EXAMPLES = 3


def ask(bundle: Bundle, suite: Suite, *, texts: bool) -> dict[str, Any]:
    """Return the failures of each form and group, as they stand in the JSON."""
    sentences = list(
        dict.fromkeys(t for check in suite.checks for pair in check.cases for t in pair)
    )
    rows = dict(zip(sentences, bundle.predict(sentences).probabilities, strict=True))
    forms = []
    for check in suite.checks:
        failed = [pair for pair in check.cases if _fails(bundle, check, *(rows[t] for t in pair))]
        form = {
            "group": check.group,
            "form": check.form,
            "kind": check.kind,
            "label": check.label or None,
            **_rate(len(failed), len(check.cases)),
        }
        if texts:
            form["examples"] = [list(dict.fromkeys(pair)) for pair in failed[:_EXAMPLES]]
        forms.append(form)
    return {"title": suite.title, "groups": _groups(forms), "forms": forms}


def _groups(forms: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the failures of each group, and of all."""
    names = list(dict.fromkeys(form["group"] for form in forms))
    groups = []
    for name in names:
        of_group = [form for form in forms if form["group"] == name]
        failed = sum(form["failed"] for form in of_group)
        cases = sum(form["cases"] for form in of_group)
        groups.append({"group": name, "forms": len(of_group), **_rate(failed, cases)})
    return groups


def _rate(failed: int, cases: int) -> dict[str, Any]:
    low, high = wilson(failed, cases)
    return {"cases": cases, "failed": failed, "share": failed / cases, "low": low, "high": high}


def _fails(
    bundle: Bundle, check: Check, before: NDArray[np.float32], after: NDArray[np.float32]
) -> bool:
    """Whether the answers to a case are not what its check expects."""
    if check.kind == "still":
        moved = float(np.abs(after.astype(np.float64) - before).max())
        return moved > check.tolerance or bool(
            (_held(bundle, before) != _held(bundle, after)).any()
        )
    label = bundle.labels.index(check.label)
    if check.kind == "expect":
        return not _held(bundle, after)[label]
    return float(before[label]) - float(after[label]) > check.tolerance


def _held(bundle: Bundle, probabilities: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which labels an answer has: (labels,)."""
    held: NDArray[np.bool_] = bundle.chosen(probabilities[None])[0]
    return held
