"""Names of files and columns in messages: escaped, so that none harms a line or a terminal."""

from collections.abc import Sequence

from sentido_score.errors import ScoreError

_MOST = 500  # characters of a list of names


def shown(name: str) -> str:
    """Return a file's name as it is; one that would harm a terminal or a line, escaped."""
    return name if name.isprintable() else repr(name)


def quoted(names: Sequence[str], most: int | None = None) -> str:
    """Return names quoted and escaped, the first `most` of them or as many as fit a message."""
    parts: list[str] = []
    room = _MOST
    for name in names[:most]:
        parts.append(repr(name)[:_MOST])
        room -= len(parts[-1]) + 2
        if room < 0:
            break
    left = len(names) - len(parts)
    return ", ".join(parts) + (f" and {left:,} more" if left else "")


def refused_name(name: str) -> ScoreError:
    """Return what is raised for a file whose name is not UTF-8."""
    return ScoreError(f"{shown(name)}: its name is not UTF-8: rename it, or name other files")
