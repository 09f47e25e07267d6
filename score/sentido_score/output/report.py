"""What a finished run says of itself: a small JSON file beside the output."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sentido_score.engines.engine import Model
from sentido_score.files.records import parse
from sentido_score.output.results import RunStats


@dataclass(frozen=True)
class Report:
    """What became of a run's rows."""

    rows: int
    scored: int
    errors: int  # rows whose `error` says why they were not scored
    tokens: int  # that the model read
    truncated_texts: int
    truncated_tokens: int
    unknown_words: int
    seconds: float  # of all the run's pieces, up to their last finished part
    texts_per_second: float
    engine: str  # of the last piece
    model: str
    version: str  # of the model
    bundle_digest: str
    precision: str
    labels: tuple[str, ...]
    input_files: int
    run: dict[str, Any]  # what the rows depend on: bundle, input, options
    output_bytes: int  # of all its files; of standard output 0
    parts: tuple[dict[str, Any], ...] = ()  # of a folder: each file's name, rows, bytes, sha256
    was_finished: bool = False  # nothing had to be done

    @classmethod
    def of(
        cls,
        counts: RunStats,
        seconds: float,
        engine: str,
        model: Model,
        facts: Mapping[str, Any],
        parts: Sequence[dict[str, Any]] = (),
        output_bytes: int = 0,
    ) -> "Report":
        """Sum up a run."""
        return cls(
            rows=counts.rows,
            scored=counts.rows - counts.errors,
            errors=counts.errors,
            tokens=counts.tokens,
            truncated_texts=counts.truncated_texts,
            truncated_tokens=counts.truncated_tokens,
            unknown_words=counts.unknown_words,
            seconds=round(seconds, 3),
            texts_per_second=round(counts.rows / seconds, 1) if seconds else 0.0,
            engine=engine,
            model=model.name,
            version=model.version,
            bundle_digest=model.digest,
            precision=model.precision,
            labels=model.labels,
            input_files=len(facts["input"]),
            run=condensed(facts),
            output_bytes=output_bytes,
            parts=tuple(parts),
        )

    @classmethod
    def parse(cls, data: bytes) -> "Report":
        """Read one that was written. Raises ValueError for something else."""
        return replace(parse(cls, data), was_finished=True)

    def encode(self) -> bytes:
        """Give the file's contents."""
        found = dataclasses.asdict(self)
        del found["was_finished"]
        return (json.dumps(found, indent=2, ensure_ascii=False) + "\n").encode()


def condensed(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Give the facts of a run with its files' list as one digest, since there may be many."""
    listing = json.dumps(facts["input"]).encode()
    return {**facts, "input": hashlib.sha256(listing).hexdigest()}
