"""An evaluation for people: tables on a terminal."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

_MOST = 30  # labels, or forms that fail


def show(evaluation: dict[str, Any], console: Console) -> None:
    """Print an evaluation."""
    model = evaluation["model"]
    console.print(Text(f"{model['name']} {model['version']}, {model['precision']}", "bold"))
    if "rows" in evaluation:
        _headline(evaluation, console)
        _labels(evaluation, console)
    if "comparison" in evaluation:
        _comparison(evaluation["comparison"], console)
    for suite in evaluation["checks"]:
        _checks(suite, console)
    for note in evaluation.get("notes", ()):
        console.print(Text(note, "yellow"))


def _headline(evaluation: dict[str, Any], console: Console) -> None:
    accuracy, calibration = evaluation["accuracy"], evaluation["calibration"]
    rows = {"texts": f"{evaluation['rows']['evaluated']:,}"}
    rows["accuracy"] = (
        f"{accuracy['value']:.4f} (95 %: {accuracy['low']:.4f} to {accuracy['high']:.4f})"
    )
    if "baseline" in accuracy:
        rows["baseline"] = f"{accuracy['baseline']:.4f}, always {accuracy['baseline_label']}"
    rows["macro F1"] = _number(evaluation["macro_f1"])
    if "micro_f1" in evaluation:
        rows["micro F1"] = f"{evaluation['micro_f1']:.4f}"
    if evaluation["roc_auc"]:
        rows["ROC AUC"] = f"{evaluation['roc_auc']['value']:.4f}"
    rows["Brier score"] = f"{evaluation['brier']:.4f}"
    rows["calibration error"] = (
        f"{calibration['ece']:.4f} (if calibrated: below {calibration['ece_if_calibrated_95']:.4f})"
    )
    _print(console, ("", ""), list(rows.items()), words=2)


def _labels(evaluation: dict[str, Any], console: Console) -> None:
    rows = [
        (
            row["label"],
            *(_number(row[name]) for name in ("precision", "recall", "f1")),
            f"{row['support']:,}",
        )
        for row in evaluation["labels"][:_MOST]
    ]
    _print(console, ("label", "precision", "recall", "F1", "texts"), rows)


def _comparison(its: dict[str, Any], console: Console) -> None:
    flips = its["flips"]
    rows = {
        "compared with": f"{its['model']['name']} {its['model']['version']}",
        "answers that flip": f"{flips['rows']:,} ({flips['share']:.2%})",
        "mended, broken": f"{its['mended']:,}, {its['broken']:,}",
        "largest difference": f"{its['largest_difference']:.4g}",
        "mean difference": f"{its['mean_difference']:.4g}",
    }
    _print(console, ("", ""), list(rows.items()), words=2)


def _checks(suite: dict[str, Any], console: Console) -> None:
    rows = [
        (group["group"], f"{group['cases']:,}", f"{group['failed']:,}", f"{group['share']:.1%}")
        for group in suite["groups"]
    ]
    _print(console, (suite["title"], "cases", "failed", "share"), rows)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _print(
    console: Console, head: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1
) -> None:
    table = Table(box=None, show_header=any(head), pad_edge=False)
    for place, name in enumerate(head):
        table.add_column(Text(name), justify="left" if place < words else "right")
    for row in rows:
        table.add_row(*(Text(value) for value in row))
    console.print(table)
    console.print()
