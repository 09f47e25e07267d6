"""The checks of behaviour on the page: failures by group and form."""

from html import escape
from typing import Any

from sentido_evaluate.page.parts import paragraph, percent, section

_SAYS = {
    "expect": "is answered {label}",
    "toward": "moves toward {label}, or stays",
    "still": "is answered as before",
}


def behaviour(suite: dict[str, Any]) -> str:
    """Return the section of one file of checks."""
    rows = []
    for group in suite["groups"]:
        forms = f"{group['forms']} forms"
        rows.append(_row("group", "th", group["group"], forms, group))
        for form in suite["forms"]:
            if form["group"] == group["group"]:
                wanted = _SAYS[form["kind"]].format(label=form["label"])
                rows.append(_row("form", "td", form["form"], wanted, form))
                rows += [_example(texts) for texts in form.get("examples", ())]
    head = "<tr><th>form</th><th class=n>failed</th><th class=n>of</th><th class=n>share</th>"
    head += '<th class="meters"></th></tr>'
    return section(
        f"Behaviour: {suite['title']}",
        paragraph("Sentences made from templates, and how many the model fails.", "soft"),
        f'<div class="wide"><table>{head}{"".join(rows)}</table></div>',
    )


def _row(css_class: str, cell: str, name: str, wanted: str, counts: dict[str, Any]) -> str:
    share = counts["share"]
    return (
        f'<tr class="{css_class}"><{cell}>{escape(name)} <span class="soft">{escape(wanted)}</span>'
        f"</{cell}><td class=n>{counts['failed']:,}</td><td class=n>{counts['cases']:,}</td>"
        f"<td class=n>{percent(share)}</td>"
        f'<td class="meters"><div class="meter"><i style="width:{share:.0%}"></i></div></td></tr>'
    )


def _example(texts: list[str]) -> str:
    return f'<tr><td class="soft" colspan="5">{" → ".join(map(escape, texts))}</td></tr>'
