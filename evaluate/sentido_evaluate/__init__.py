"""Shows how good a Sentido bundle is: figures, a page to look at, and checks of its behaviour.

    from sentido_evaluate import Asked, Columns, evaluate, render_page

    evaluation = evaluate(Asked("labelled.csv", columns=Columns(label="sentiment")))
    print(evaluation["accuracy"], evaluation["macro_f1"])
    html = render_page(evaluation)

In constant memory. The command `sentido-evaluate` does the same. See `docs/evaluating.md`.
"""

from sentido_evaluate.behaviour.suite import Suite, read_suite
from sentido_evaluate.errors import EvaluateError
from sentido_evaluate.evaluation import Asked, evaluate
from sentido_evaluate.page.render import render_page
from sentido_evaluate.truth import Columns

__all__ = ["Asked", "Columns", "EvaluateError", "Suite", "evaluate", "read_suite", "render_page"]
