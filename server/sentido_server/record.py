"""The log: one line a call, and the server's own few lines. Never a text of a request.

JSON when standard error is not a terminal, else a line for people. A line has the time, the level,
the event and its facts.
"""

import json
import logging
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TextIO

from google.rpc import code_pb2

from sentido_server.rpc import Plan

logger = logging.getLogger("sentido_server")


def set_up(log_format: str, stream: TextIO = sys.stderr) -> None:
    """Send the log to `stream`, as `json`, `text`, or whichever of them suits it (`auto`)."""
    as_json = log_format == "json" or (log_format == "auto" and not stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_JsonFormatter() if as_json else _TextFormatter())
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False


def event(name: str, **facts: Any) -> None:
    """Write one line."""
    logger.info(name, extra={"facts": facts})


def failure(name: str, error: BaseException, **facts: Any) -> None:
    """Write one line about a bug of ours, with its traceback."""
    logger.error(name, exc_info=error, extra={"facts": facts})


@dataclass
class CallRecord:
    """What one call's line will say. Lives as long as the call; safe from any thread."""

    rpc: str
    peer: str
    started: float = field(default_factory=time.monotonic)
    model: str | None = None
    texts: int = 0
    tokens: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, plan: Plan, sign: int = 1) -> None:
        """Count the texts of a plan; with -1, take them back."""
        tokens = sum(encoding.token_count for encoding in plan.encodings)
        with self._lock:
            self.texts += sign * len(plan.encodings)
            self.tokens += sign * tokens
            if plan.bundle is not None:
                self.model = plan.bundle.name

    def write(self, code: int) -> None:
        """Write the call's line."""
        event(
            "call",
            rpc=self.rpc,
            code=code_pb2.Code.Name(code),
            milliseconds=round((time.monotonic() - self.started) * 1000, 3),
            texts=self.texts,
            tokens=self.tokens,
            model=self.model,
            peer=self.peer,
        )


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        facts = getattr(record, "facts", {})
        shown = " ".join(f"{k}={v}" for k, v in facts.items() if v is not None)
        line = f"{_time(record)[11:23]} {record.getMessage()} {shown}".rstrip()
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
