"""What a model is trained on, epoch by epoch: whole texts, random parts of them, made sentences."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sentido_bundle import Tokenizer

from sentido_export.data import Dataset
from sentido_export.recipe import MOST_SPANS, Recipe, Teacher
from sentido_export.split import folds, groups
from sentido_export.templates import Templates

Ids = NDArray[np.int32]  # (tokens,)
Targets = NDArray[np.float32]  # (texts, labels)

_FOLDS = 5  # of the teacher
_LEAST_SHARE, _MOST_SHARE = 0.05, 0.8  # of a text's words
_SURE = 0.95  # target of a made sentence's label


@dataclass(frozen=True)
class Encoded:
    """Texts as ids, and what a model should say of them."""

    sequences: list[Ids]
    targets: Targets

    def __len__(self) -> int:
        return len(self.sequences)

    def __add__(self, other: "Encoded") -> "Encoded":
        targets = np.concatenate([self.targets, other.targets])
        return Encoded([*self.sequences, *other.sequences], targets)

    def take(self, rows: Sequence[int]) -> "Encoded":
        """Return these texts, in this order."""
        return Encoded([self.sequences[row] for row in rows], self.targets[rows])


def encode(tokenizer: Tokenizer, data: Dataset) -> Encoded:
    """Turn every text into the ids that the model reads, and its label into a target."""
    return _encoded(tokenizer, data.texts, one_hot(data.labels, len(data.label_names)))


def _encoded(tokenizer: Tokenizer, texts: Sequence[str], targets: Targets) -> Encoded:
    return Encoded([tokenizer.encode(text).ids for text in texts], targets)


def one_hot(labels: NDArray[np.int32], count: int) -> Targets:
    """Return 1 for each text's label and 0 for the others."""
    return np.eye(count, dtype=np.float32)[labels]


@dataclass(frozen=True)
class Spans:
    """Random parts of long texts, drawn beforehand so that a teacher can answer them."""

    texts: Sequence[str]
    of: NDArray[np.int64]  # the text that each is a part of, `MOST_SPANS` in a row

    @classmethod
    def draw(cls, texts: Sequence[str], recipe: Recipe, seed: int) -> "Spans":
        """Draw parts of 5 to 80 % of the words of each long text, if the recipe wants any."""
        generator = np.random.default_rng((seed, len(texts)))
        spans, of = [], []
        for row, text in enumerate(texts if recipe.spans else ()):
            words = text.split()
            if len(words) <= recipe.long_text:
                continue
            shares = generator.uniform(_LEAST_SHARE, _MOST_SHARE, MOST_SPANS)
            for size in np.ceil(shares * len(words)).astype(int).tolist():
                start = int(generator.integers(len(words) - size + 1))
                spans.append(" ".join(words[start : start + size]))
                of.append(row)
        return cls(spans, np.array(of, np.int64))


@dataclass(frozen=True)
class Lessons:
    """Everything that a model is trained on."""

    texts: Encoded
    spans: Encoded | None = None  # `MOST_SPANS` in a row are of one text
    per_epoch: int = 0  # spans of each text
    tokenizer: Tokenizer | None = None  # for the sentences of `templates`
    templates: Templates | None = None
    sentences: int = 0  # per epoch
    kept: NDArray[np.bool_] | None = None  # by id: whether it is never left out
    held: NDArray[np.bool_] | None = None  # by id: whether made sentences do not move its vector

    @property
    def size(self) -> int:
        """The number of texts in an epoch."""
        spans = 0 if self.spans is None else len(self.spans) // MOST_SPANS * self.per_epoch
        return len(self.texts) + spans + (0 if self.templates is None else self.sentences)

    def epoch(self, generator: np.random.Generator) -> Encoded:
        """Return what one epoch is made of."""
        lessons = self.texts
        if self.spans is not None:
            order = np.argsort(
                generator.random((len(self.spans) // MOST_SPANS, MOST_SPANS)), axis=1
            )
            rows = order[:, : self.per_epoch] + MOST_SPANS * np.arange(len(order))[:, None]
            lessons += self.spans.take(rows.ravel().tolist())
        if self.templates is not None and self.tokenizer is not None:
            texts, labels = self.templates.draw(generator, self.sentences)
            count = self.texts.targets.shape[1]
            targets = one_hot(labels, count) * _SURE
            targets += (1 - targets.sum(axis=1, keepdims=True)) * (targets == 0) / (count - 1)
            lessons += self._held(_encoded(self.tokenizer, texts, targets))
        return lessons

    def _held(self, made: Encoded) -> Encoded:
        """Mark the words whose vectors made sentences are not to move (`Held`)."""
        if self.held is None:
            return made
        by = len(self.held) * self.held.astype(np.int32)
        return Encoded([ids + by[ids] for ids in made.sequences], made.targets)

    def thinned(self, ids: Ids, recipe: Recipe, generator: np.random.Generator) -> Ids:
        """Leave some words of a long text out, but none of those that turn a sentence."""
        if len(ids) <= recipe.long_text or self.kept is None:
            return ids
        kept = self.kept[ids % len(self.kept)]
        return ids[(generator.random(len(ids)) >= recipe.word_dropout) | kept]


def lessons_of(
    sources: Sequence[Dataset],
    tokenizer: Tokenizer,
    recipe: Recipe,
    templates: Templates | None,
    seed: int,
) -> Lessons:
    """Make the lessons of all sources: their texts, and spans if a teacher labels them.

    Raises ExportError if a teacher learns nothing from them.
    """
    texts = [text for source in sources for text in source.texts]
    labels = np.concatenate([source.labels for source in sources])
    targets, spans = one_hot(labels, len(sources[0].label_names)), None
    if recipe.teacher is not Teacher.OFF:
        drawn = Spans.draw(texts, recipe, seed)
        soft, of_spans = _taught(sources, drawn, recipe, seed, tokenizer)
        targets = recipe.hard_share * targets + (1 - recipe.hard_share) * soft
        spans = _encoded(tokenizer, drawn.texts, of_spans) if drawn.texts else None
    kept = _marked(tokenizer, (*recipe.negators, *recipe.turns))
    return Lessons(
        texts=_encoded(tokenizer, texts, targets),
        spans=spans,
        per_epoch=recipe.spans,
        tokenizer=tokenizer,
        templates=templates,
        sentences=recipe.sentences,
        kept=kept,
        held=_stand_ins(tokenizer, templates.listed, recipe) & ~kept if templates else None,
    )


def _stand_ins(tokenizer: Tokenizer, listed: Iterable[str], recipe: Recipe) -> NDArray[np.bool_]:
    """Return by id whether a word is in a list of the templates, and not everywhere in texts."""
    marked = _marked(tokenizer, listed)
    marked[: recipe.common_words] = False  # the commonest words have the first ids
    return marked


def _marked(tokenizer: Tokenizer, texts: Iterable[str]) -> NDArray[np.bool_]:
    """Return by id whether a word is in one of these texts."""
    marked = np.zeros(len(tokenizer.vocabulary), bool)
    for text in texts:
        marked[tokenizer.encode(text).ids] = True
    return marked


def _taught(
    sources: Sequence[Dataset], drawn: Spans, recipe: Recipe, seed: int, tokenizer: Tokenizer
) -> tuple[Targets, Targets]:
    """Return a teacher's answers to the texts of all sources, and to their spans."""
    from sentido_export.teacher import Pupils, answers  # scikit-learn, which takes a second

    labels = np.concatenate([source.labels for source in sources])
    fold = folds(groups([text for source in sources for text in source.texts]), _FOLDS, seed)
    of_each = np.split(fold, np.cumsum([len(source) for source in sources])[:-1])
    kinds = [
        Pupils([*map(tokenizer.clean, s.texts)], s.labels, f)
        for s, f in zip(sources, of_each, strict=True)
    ]
    count = len(sources[0].label_names)
    if not drawn.texts:
        return np.concatenate(answers(kinds, count, recipe.negators)), one_hot(labels[:0], count)
    kinds.append(
        Pupils(
            [*map(tokenizer.clean, drawn.texts)], labels[drawn.of], fold[drawn.of], are_seen=False
        )
    )
    *of_texts, of_spans = answers(kinds, count, recipe.negators)
    return np.concatenate(of_texts), of_spans
