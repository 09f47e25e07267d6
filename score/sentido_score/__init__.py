"""Scores whole files with a Sentido bundle: labels, probabilities and vectors beside each text.

    from sentido_score import score

    report = score("reviews.parquet", out="scored.parquet")
    print(report.rows, report.errors)

In constant memory, restartable, on one machine, through servers or on a Ray cluster. The command
`sentido-score` does the same. See `docs/scoring.md`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sentido_score.errors import ScoreError
    from sentido_score.options import Options, Servers
    from sentido_score.output.report import Report
    from sentido_score.output.results import RunStats
    from sentido_score.scorer import Scorer
    from sentido_score.scoring import score, score_batches

__all__ = [
    "Options",
    "Report",
    "RunStats",
    "ScoreError",
    "Scorer",
    "Servers",
    "score",
    "score_batches",
]

_MODULES = {
    "RunStats": "output.results",
    "Options": "options",
    "Report": "output.report",
    "ScoreError": "errors",
    "Scorer": "scorer",
    "Servers": "options",
    "score": "scoring",
    "score_batches": "scoring",
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
