"""What the README shows: its blocks of code, and the commands in them."""

import re

from conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands(program: str) -> list[str]:
    """Return the commands of the README whose program, but for "sentido", matches a pattern."""
    lines = "\n".join(blocks("sh")).replace("\\\n", " ").splitlines()
    found = [line.split(" #")[0].strip() for line in lines]
    return [line for line in found if re.match(rf"\.venv/bin/sentido{program} ", line)]


def labelled(good: str, bad: str) -> str:
    """Return the mine.csv of the README: 80 texts with their labels."""
    return "text,sentiment\n" + "".join(f"a {good} {n},yes\na {bad} {n},no\n" for n in range(40))
