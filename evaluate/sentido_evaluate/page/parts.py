"""Pieces of HTML: tables, tiles and figures. Whatever comes from outside is escaped here."""

from collections.abc import Iterable, Sequence
from html import escape


def number(value: float | None, digits: int = 4) -> str:
    """Return a figure, a dash for one that does not exist."""
    return "–" if value is None else f"{value:.{digits}f}"


def percent(value: float) -> str:
    """Return a share in percent."""
    return f"{value:.1%}".replace("%", " %")


def tile(name: str, value: str, more: str = "") -> str:
    """Return a headline figure."""
    return (
        f'<div class="tile"><span>{escape(name)}</span><b>{escape(value)}</b>'
        f"<span>{escape(more)}</span></div>"
    )


def figure(picture: str, caption: str) -> str:
    """Return a picture with what it shows."""
    return f"<figure>{picture}<figcaption>{escape(caption)}</figcaption></figure>"


def section(title: str, *parts: str) -> str:
    """Return a part of the page; nothing if it is empty."""
    inside = "".join(parts)
    return f"<section><h2>{escape(title)}</h2>{inside}</section>" if inside else ""


def paragraph(text: str, kind: str = "") -> str:
    """Return a paragraph."""
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    words: int = 1,
    texts: Sequence[str | None] | None = None,
) -> str:
    """Return a table whose first `words` columns are words, the others numbers.

    `texts`: what stands below each row, over all columns.
    """
    kinds = ["" if place < words else ' class="n"' for place in range(len(head))]
    top = "".join(f"<th{kind}>{escape(name)}</th>" for name, kind in zip(head, kinds, strict=True))
    listed = list(rows)
    body = "".join(
        "<tr>"
        + "".join(f"<td{kind}>{escape(v)}</td>" for v, kind in zip(row, kinds, strict=True))
        + "</tr>"
        + (f'<tr class="text"><td colspan="{len(head)}">{escape(text)}</td></tr>' if text else "")
        for row, text in zip(listed, texts or [None] * len(listed), strict=True)
    )
    return f'<div class="wide"><table><tr>{top}</tr>{body}</table></div>'
