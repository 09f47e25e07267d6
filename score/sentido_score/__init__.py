"""Scores whole files with a Sentido bundle: labels, probabilities and vectors beside each text.

    from sentido_score import score

    report = score("reviews.parquet", out="scored.parquet")
    print(report.rows, report.errors)

In constant memory, restartable, on one machine, through servers or on a Ray cluster. The command
`sentido-score` does the same. See `docs/scoring.md`.
"""

from sentido_score.errors import ScoreError
from sentido_score.options import Options, Servers
from sentido_score.report import Report
from sentido_score.results import Counts
from sentido_score.score import score, score_batches
from sentido_score.scorer import Scorer

__all__ = [
    "Counts",
    "Options",
    "Report",
    "ScoreError",
    "Scorer",
    "Servers",
    "score",
    "score_batches",
]
