"""Shows how good a Sentido bundle is: figures, a page to look at, and checks of its behaviour.

    from sentido_evaluate import Asked, Columns, evaluate, page

    found = evaluate(Asked("labelled.csv", columns=Columns(label="sentiment")))
    print(found["accuracy"], found["macro_f1"])
    html = page(found)

In constant memory. The command `sentido-evaluate` does the same. See `docs/evaluating.md`.
"""

from sentido_evaluate.behaviour.suite import Suite, read_suite
from sentido_evaluate.errors import EvaluateError
from sentido_evaluate.evaluation import Asked, evaluate
from sentido_evaluate.page.page import page
from sentido_evaluate.truth import Columns

__all__ = ["Asked", "Columns", "EvaluateError", "Suite", "evaluate", "page", "read_suite"]
