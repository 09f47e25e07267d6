"""Sentences made from templates, to train on: a file in the form of the checks of sentido-evaluate.

    [words]
    good = ["good", "great"]

    [[check]]
    group = "flipped"
    form = "hardly"
    expect = "negative"
    texts = ["hardly a {good} film"]

Which forms and words it has is the business of whoever trains on such texts.
"""

import tomllib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sentido_evaluate import Suite
from sentido_evaluate.behaviour.suite import parse_suite
from sentido_evaluate.errors import EvaluateError

from sentido_export.errors import ExportError

_PAIRS = 1 / 3  # share of what is drawn that is two sentences


class Templates:
    """The sentences of a file, by their label and form."""

    def __init__(self, suite: Suite, labels: Sequence[str], listed: frozenset[str]) -> None:
        """Take the sentences. `listed`: what the lists of words hold."""
        self.listed = listed
        self._forms: dict[int, list[list[str]]] = {}
        for check in suite.checks:
            sentences = [text for _, text in check.cases]
            self._forms.setdefault(labels.index(check.label), []).append(sentences)

    @classmethod
    def read(cls, path: Path, labels: Sequence[str]) -> "Templates":
        """Read a file for a model with these labels. Raises ExportError."""
        try:
            data = path.read_bytes()
            suite = parse_suite(str(path), data).of(labels, {})
        except EvaluateError as error:
            raise ExportError(str(error).partition(": --rename")[0]) from error
        for check in suite.checks:
            if check.kind != "expect":
                raise ExportError(
                    f"{path}: the form {check.form!r} has {check.kind!r}: templates to train on"
                    " have expect and texts"
                )
        lists = tomllib.loads(data.decode("utf-8-sig")).get("words", {})
        listed = [entry for entries in lists.values() for entry in entries]
        return cls(suite, labels, frozenset(entry for entry in listed if isinstance(entry, str)))

    def draw(
        self, generator: np.random.Generator, count: int
    ) -> tuple[list[str], NDArray[np.int32]]:
        """Draw texts of one or two sentences, each label and each of its forms as often."""
        labels = generator.choice(list(self._forms), count)
        are_pairs = generator.random(count) < _PAIRS
        texts = [
            " ".join(self._sentence(generator, label) for _ in range(1 + is_pair))
            for label, is_pair in zip(labels.tolist(), are_pairs.tolist(), strict=True)
        ]
        return texts, labels.astype(np.int32)

    def _sentence(self, generator: np.random.Generator, label: int) -> str:
        forms = self._forms[label]
        sentences = forms[generator.integers(len(forms))]
        return sentences[generator.integers(len(sentences))]
