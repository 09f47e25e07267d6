"""Shows how good a Sentido bundle is: figures, a page to look at, and checks of its behaviour.

    from sentido_evaluate import Asked, Columns, evaluate, render_page

    evaluation = evaluate(Asked("labelled.csv", columns=Columns(label="sentiment")))
    print(evaluation["accuracy"], evaluation["macro_f1"])
    html = render_page(evaluation)

In constant memory. The command `sentido-evaluate` does the same. See `docs/evaluating.md`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sentido_evaluate.behaviour.suite import Suite, read_suite
    from sentido_evaluate.errors import EvaluateError
    from sentido_evaluate.evaluation import Asked, evaluate
    from sentido_evaluate.page.render import render_page
    from sentido_evaluate.truth import Columns

__all__ = ["Asked", "Columns", "EvaluateError", "Suite", "evaluate", "read_suite", "render_page"]

_MODULES = {
    "Asked": "evaluation",
    "Columns": "truth",
    "EvaluateError": "errors",
    "Suite": "behaviour.suite",
    "evaluate": "evaluation",
    "read_suite": "behaviour.suite",
    "render_page": "page.render",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for.

    The command has to hear signals before the seconds in which everything is imported.
    """
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
