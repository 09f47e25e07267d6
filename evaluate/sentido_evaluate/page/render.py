"""The page of an evaluation: from what `evaluate` returns to one HTML file.

It loads nothing and runs nothing: style and pictures are within it.
"""

from collections.abc import Iterator
from html import escape
from importlib import resources
from typing import Any

from sentido_evaluate.page import charts
from sentido_evaluate.page.behaviour import behaviour
from sentido_evaluate.page.confusion import confusion
from sentido_evaluate.page.parts import figure, number, paragraph, percent, section, table, tile
from sentido_evaluate.page.training import training

MOST_BYTES = 1_000_000
"""A page is no larger: what is long is cut by the parts that draw it."""

_MOST_LABELS = 300
_MOST_NAMED = 20  # in a sentence


def render_page(evaluation: dict[str, Any]) -> str:
    """Return the page."""
    model = evaluation["model"]
    title = f"{model['name']} {model['version']}"
    style = (resources.files("sentido_evaluate") / "page" / "style.css").read_text("utf-8")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}: evaluation</title><style>{style}</style></head><body>"
        f"<h1>How good is {escape(title)}?</h1>"
        f'<p class="soft">{escape(_about(model))}{_rows(evaluation)}</p>'
        f"{''.join(_sections(evaluation))}</body></html>\n"
    )


def _about(model: dict[str, Any]) -> str:
    return f"{model['precision']}, digest {model['digest'][:12]}"


def _rows(evaluation: dict[str, Any]) -> str:
    if "rows" not in evaluation:
        return ""
    rows = evaluation["rows"]
    errors = f"; {rows['errors']:,} rows with errors are left out" if rows["errors"] else ""
    return f", on {rows['evaluated']:,} labelled texts{errors}"


def _sections(evaluation: dict[str, Any]) -> Iterator[str]:
    if "rows" in evaluation:
        yield _headline(evaluation)
        yield section("Labels", _labels(evaluation))
        yield section("What is taken for what", confusion(evaluation))
        yield section("Can the probabilities be believed?", _calibration(evaluation))
        yield section("Which texts are hard?", _slices(evaluation))
    if "comparison" in evaluation:
        yield _comparison(evaluation)
    for suite in evaluation["checks"]:
        yield behaviour(suite)
    if "training" in evaluation:
        yield training(evaluation["training"])
    if evaluation.get("examples"):
        yield section("The surest mistakes", _examples(evaluation["examples"]))


def _headline(evaluation: dict[str, Any]) -> str:
    accuracy, area = evaluation["accuracy"], evaluation["roc_auc"]
    is_single = "confusion" in evaluation
    interval = f"95 %: {accuracy['low']:.4f} to {accuracy['high']:.4f}"
    tiles = [
        tile("accuracy" if is_single else "all labels right", number(accuracy["value"]), interval)
    ]
    if is_single:
        more = f"always {accuracy['baseline_label']}"
        tiles.append(tile("baseline", number(accuracy["baseline"]), more))
    tiles.append(tile("macro F1", number(evaluation["macro_f1"]), "the mean over the labels"))
    if not is_single:
        tiles.append(tile("micro F1", number(evaluation["micro_f1"]), "over all answers"))
    if area is not None:
        tiles.append(tile("ROC AUC", number(area["value"]), _within(area["error"])))
    tiles.append(tile("Brier score", number(evaluation["brier"]), "0 is perfect"))
    calibration = evaluation["calibration"]
    by_chance = f"if calibrated: below {calibration['ece_if_calibrated_95']:.4f}"
    tiles.append(tile("calibration error", number(calibration["ece"]), by_chance))
    said = "".join(f"<li>{escape(note)}</li>" for note in evaluation["notes"])
    listed = f'<ul class="notes">{said}</ul>' if said else ""
    return f'<div class="tiles">{"".join(tiles)}</div>{listed}'


def _within(error: float) -> str:
    return f"± {max(error, 0.0001):.4f}" if error else "exact"


def _labels(evaluation: dict[str, Any]) -> str:
    labels = sorted(evaluation["labels"], key=lambda row: -row["support"])[:_MOST_LABELS]
    left = len(evaluation["labels"]) - len(labels)
    head = {"precision": "precision", "recall": "recall", "f1": "F1", "roc_auc": "ROC AUC"}
    if "confusion" not in evaluation:
        head["threshold"] = "threshold"
    rows = [
        (
            row["label"],
            *(number(row[name]) if name != "threshold" else f"{row[name]:.3g}" for name in head),
            f"{row['support']:,}",
            f"{row['answered']:,}",
        )
        for row in labels
    ]
    more = paragraph(f"{left:,} rarer labels are in the JSON.", "soft") if left else ""
    return table(("label", *head.values(), "texts", "answered"), rows) + more + _chosen(evaluation)


def _chosen(evaluation: dict[str, Any]) -> str:
    """Say which thresholds were chosen, and by what."""
    thresholds = evaluation.get("thresholds")
    if not thresholds or not thresholds["chosen"]:
        return ""
    listed, left = thresholds["chosen"][:_MOST_NAMED], len(thresholds["chosen"]) - _MOST_NAMED
    names = ", ".join(listed) + (f" and {left:,} more" if left > 0 else "")
    return paragraph(
        f"The thresholds of {names} give the largest F1 on {thresholds['texts']:,} other texts, by"
        " which they were chosen.",
        "soft",
    )


def _calibration(evaluation: dict[str, Any]) -> str:
    is_single = "confusion" in evaluation
    says = (
        "Dots on the line: answers are right as often as they say. Bars: how many rows."
        if is_single
        else "Of every label's probability: dots on the line are right as often as they say."
    )
    pictures = [
        figure(charts.reliability(evaluation["calibration"], "share that is right"), says),
    ]
    if evaluation.get("coverage"):
        says = "If only the surest answers are used and the others left to people."
        pictures.append(figure(charts.coverage(evaluation["coverage"]), says))
    return f'<div class="charts">{"".join(pictures)}</div>'


def _slices(evaluation: dict[str, Any]) -> str:
    pictures = [
        figure(charts.bars(slices, what), _counted(slices))
        for slices, what in (
            (evaluation["by_words"], "words of a text"),
            (evaluation["by_out_of_vocabulary_share"], "share of unknown words"),
        )
        if slices
    ]
    return f'<div class="charts">{"".join(pictures)}</div>' if pictures else ""


def _counted(slices: list[dict[str, Any]]) -> str:
    return "Rows: " + "; ".join(f"{entry['range']}: {entry['rows']:,}" for entry in slices)


def _comparison(evaluation: dict[str, Any]) -> str:
    its, flips = evaluation["comparison"], evaluation["comparison"]["flips"]
    other, interval = its["model"], f"95 %: {percent(flips['low'])} to {percent(flips['high'])}"
    tiles = [
        tile("answers that flip", percent(flips["share"]), f"{flips['rows']:,} rows; {interval}"),
        tile("mended / broken", f"{its['mended']:,} / {its['broken']:,}", "wrong before / after"),
        tile("largest difference", number(its["largest_difference"]), "of a probability"),
        tile("mean difference", number(its["mean_difference"], 5), "of a probability"),
        tile(
            "its accuracy", number(its["accuracy"]["value"]), f"macro F1 {number(its['macro_f1'])}"
        ),
    ]
    name = f"{other['name']} {other['version']}, digest {other['digest'][:12]}"
    return section(
        "Compared with another model",
        paragraph(name, "soft"),
        f'<div class="tiles">{"".join(tiles)}</div>',
        _flips(flips["by_label"]),
        _worst(its["worst"]),
    )


def _flips(flips: list[dict[str, Any]]) -> str:
    if not flips:
        return ""
    head = tuple(flips[0])
    words = sum(isinstance(value, str) for value in flips[0].values())
    return table(head, [[_plain(value) for value in row.values()] for row in flips], words)


def _plain(value: object) -> str:
    return value if isinstance(value, str) else f"{value:,}"


def _worst(rows: list[dict[str, Any]]) -> str:
    shown = [
        (row["place"], row["label"], number(row["probability"]), number(row["other"]))
        for row in rows
    ]
    head = ("rows that differ most", "label", "probability", "the other's")
    return table(head, shown, 2, [row.get("text") for row in rows]) if shown else ""


def _examples(examples: list[dict[str, Any]]) -> str:
    rows = [
        (
            entry["place"],
            ", ".join(entry["labels"]) or "none",
            ", ".join(entry["answer"]) or "none",
            number(entry["probability"]),
        )
        for entry in examples
    ]
    head = ("row", "labelled", "answered", "probability")
    return table(head, rows, 3, [entry["text"] for entry in examples])
