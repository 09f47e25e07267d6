"""How a line of the log looks, as JSON or for people. No fact can break it or grow without bound.

Whatever a fact holds (names from a bundle or a path, messages of native code), it stays on its
line, sends nothing to a terminal, and is shortened.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from google.rpc import code_pb2

MOST_CHARACTERS = 2000
"""What a fact may have, before it is escaped; in the middle of a longer one some are left out."""

MOST_TRACEBACK_CHARACTERS = 20_000
"""What a traceback or a message for people may have."""

_CODES = {number: name for name, number in code_pb2.Code.items()}
_to_json = json.JSONEncoder(ensure_ascii=False, default=str).encode


class Call(NamedTuple):
    """What a call's line says."""

    when: float  # seconds since the epoch
    rpc: str
    code: int
    milliseconds: float
    texts: int
    tokens: int
    stages: tuple[float, ...]  # seconds, as in counting.STAGES
    model: str | None
    version: str | None  # of the model
    peer: str
    trace_id: str | None


def json_call(call: Call) -> str:
    """Format a call's line: what `json_line` would return, without its general encoder."""
    tokenize, queue, compute, encode = call.stages
    trace = f', "trace_id": "{call.trace_id}"' if call.trace_id else ""
    return (
        f'{{"time": "{_time(call.when)}", "level": "info", "event": "call", "rpc": "{call.rpc}",'
        f' "code": "{_CODES[call.code]}", "milliseconds": {call.milliseconds:.3f},'
        f' "texts": {call.texts}, "tokens": {call.tokens},'
        f' "tokenize_milliseconds": {tokenize * 1000:.3f},'
        f' "queue_milliseconds": {queue * 1000:.3f},'
        f' "compute_milliseconds": {compute * 1000:.3f},'
        f' "encode_milliseconds": {encode * 1000:.3f},'
        f' "model": {_quoted(call.model)}, "version": {_quoted(call.version)},'
        f' "peer": {_quoted(call.peer)}{trace}}}\n'
    )


def text_call(call: Call) -> str:
    """Format a call's line for people."""
    facts = {**call._asdict(), "code": _CODES[call.code]}
    facts["milliseconds"] = round(call.milliseconds, 3)
    facts["stages"] = "+".join(f"{seconds * 1000:.3f}" for seconds in call.stages)
    return text_line(facts.pop("when"), "info", "call", facts)


def json_line(when: float, level: str, name: str, facts: Mapping[str, Any]) -> str:
    """Format a line as one JSON object."""
    line = {"time": _time(when), "level": level, "event": name, **_bounded(facts)}
    return printable(_to_json(line)) + "\n"


def text_line(when: float, level: str, name: str, facts: Mapping[str, Any]) -> str:
    """Format a line for people; the lines of a traceback follow it, indented."""
    facts = _bounded(facts)
    trace = facts.pop("traceback", "").splitlines()
    shown = " ".join(f"{key}={fact}" for key, fact in facts.items() if fact is not None)
    loud = "" if level == "info" else level.upper() + ": "
    line = f"{_time(when)[11:23]} {loud}{name} {shown}".rstrip()
    return "".join(f"{printable(each)}\n" for each in (line, *(f"  {each}" for each in trace)))


def printable(text: str) -> str:
    r"""Return a text with what is no letter, sign or space as its JSON escapes.

    >>> printable("café\n\x1b[2J")
    'café\\n\\u001b[2J'
    """
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else json.dumps(sign)[1:-1] for sign in text)


def shortened(text: str, most: int) -> str:
    """Return a text of at most so many characters: if it is longer, its beginning and its end."""
    if len(text) <= most:
        return text
    note = f" [{len(text) - most} characters and more left out] "
    half = (most - len(note)) // 2
    return text[:half] + note + text[-half:]


def _bounded(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _bounded_fact(name, fact) for name, fact in facts.items()}


def _bounded_fact(name: str, fact: Any) -> Any:
    if fact is None or isinstance(fact, int | float):
        return fact
    most = MOST_TRACEBACK_CHARACTERS if name == "traceback" else MOST_CHARACTERS
    if isinstance(fact, str):
        return shortened(fact, most)
    text = _to_json(fact)
    return fact if len(text) <= most else shortened(text, most)


@lru_cache(maxsize=1024)
def _quoted(fact: str | None) -> str:
    return printable(_to_json(_bounded_fact("", fact)))


def _time(when: float) -> str:
    """Return a time as in 2026-11-22T09:30:00.123+00:00; the digits up to the second are reused."""
    return f"{_second(int(when))}.{int(when % 1 * 1000):03d}+00:00"


@lru_cache(maxsize=1)
def _second(when: int) -> str:
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%S")
