"""How a training went, on the page: loss and accuracy of each epoch."""

from typing import Any

from sentido_evaluate.page import charts
from sentido_evaluate.page.parts import figure, paragraph, section

_SAYS = "Solid: training texts. Dashed: validation texts, from which it does not learn."


def training(course: dict[str, Any]) -> str:
    """Return the section; nothing if no epoch is known."""
    epochs, kept = course["epochs"], (course["kept"][0], course["kept"][1])
    if not epochs:
        return ""
    first, last = kept
    weights = f"epoch {first:d}" if first == last else f"the mean of epochs {first:d} to {last:d}"
    pictures = [figure(charts.curves(epochs, name, kept), _SAYS) for name in ("loss", "accuracy")]
    return section(
        "How it was trained",
        paragraph(
            f"The model has the weights of {weights}, marked in grey. Figures of the training texts"
            " are taken while it learns, so they can be worse than those of the validation texts.",
            "soft",
        ),
        f'<div class="charts">{"".join(pictures)}</div>',
    )
