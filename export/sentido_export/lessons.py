"""What a model is trained on, epoch by epoch: whole texts, random parts of them, made sentences."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise

import numpy as np
from numpy.typing import NDArray
from sentido_bundle import Tokenizer

from sentido_export.data import Dataset
from sentido_export.ngrams import Prefixes
from sentido_export.recipe import MOST_SPANS, Recipe, Teacher
from sentido_export.split import folds, groups
from sentido_export.templates import Templates

Ids = NDArray[np.int32]  # (tokens,)
Targets = NDArray[np.float32]  # (texts, labels)

_FOLDS = 5  # of the teacher
_LEAST_SHARE, _MOST_SHARE = 0.05, 0.8  # of a text's words
_SURE = 0.95  # target of a made sentence's label
_MOST_PREFIXES = 32  # of a text
_MOST_NUMBERS = 20_000_000  # probabilities of all prefixes: with many labels each text has fewer


@dataclass(frozen=True)
class PrefixTargets:
    """What a model should say of the first tokens of a text, so many each time."""

    tokens: NDArray[np.int64]  # (prefixes,)
    targets: Targets  # (prefixes, labels)


@dataclass(frozen=True)
class Encoded:
    """Texts as ids, and what a model should say of them."""

    sequences: list[Ids]
    targets: Targets
    prefixes: list[PrefixTargets | None]

    def __len__(self) -> int:
        return len(self.sequences)

    def __add__(self, other: "Encoded") -> "Encoded":
        return Encoded(
            [*self.sequences, *other.sequences],
            np.concatenate([self.targets, other.targets]),
            [*self.prefixes, *other.prefixes],
        )

    def take(self, rows: Sequence[int]) -> "Encoded":
        """Return these texts, in this order."""
        return Encoded(
            [self.sequences[row] for row in rows],
            self.targets[rows],
            [self.prefixes[row] for row in rows],
        )


def encode(tokenizer: Tokenizer, data: Dataset) -> Encoded:
    """Turn every text into the ids that the model reads, and its label into a target."""
    return _encoded(tokenizer, data.texts, one_hot(data.labels, len(data.label_names)))


def _encoded(
    tokenizer: Tokenizer,
    texts: Sequence[str],
    targets: Targets,
    prefixes: list[PrefixTargets | None] | None = None,
) -> Encoded:
    sequences = [tokenizer.encode(text).ids for text in texts]
    return Encoded(sequences, targets, prefixes or [None] * len(texts))


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

    @property
    def with_prefixes(self) -> bool:
        """Whether anything is said of the prefixes of texts."""
        return any(self.texts.prefixes)

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
        return replace(made, sequences=[ids + by[ids] for ids in made.sequences])

    def thinned(
        self,
        ids: Ids,
        prefixes: PrefixTargets | None,
        recipe: Recipe,
        generator: np.random.Generator,
    ) -> tuple[Ids, PrefixTargets | None]:
        """Leave some words of a long text out, but none of those that turn a sentence."""
        if len(ids) <= recipe.long_text or self.kept is None:
            return ids, prefixes
        is_kept = self.kept[ids % len(self.kept)]
        is_kept |= generator.random(len(ids)) >= recipe.word_dropout
        if prefixes is not None:
            tokens = is_kept.cumsum(dtype=np.int64)[prefixes.tokens - 1]  # what is left of each
            prefixes = PrefixTargets(tokens[tokens > 0], prefixes.targets[tokens > 0])
        return ids[is_kept], prefixes


def lessons_of(
    sources: Sequence[Dataset],
    tokenizer: Tokenizer,
    recipe: Recipe,
    templates: Templates | None,
    seed: int,
    label_weights: NDArray[np.float32] | None = None,
) -> Lessons:
    """Make the lessons of all sources: their texts, and spans if a teacher labels them.

    `label_weights`: how much a text of each label counts to the teacher.

    Raises ExportError if a teacher learns nothing from them.
    """
    texts = [text for source in sources for text in source.texts]
    labels = np.concatenate([source.labels for source in sources])
    targets, of_prefixes, spans = one_hot(labels, len(sources[0].label_names)), None, None
    if recipe.teacher is not Teacher.OFF:
        drawn = Spans.draw(texts, recipe, seed)
        taught = _taught(sources, drawn, recipe, seed, tokenizer, label_weights)
        soft, of_prefixes, spans = taught
        targets = recipe.hard_share * targets + (1 - recipe.hard_share) * soft
    kept = _marked(tokenizer, (*recipe.negators, *recipe.turns))
    return Lessons(
        texts=_encoded(tokenizer, texts, targets, of_prefixes),
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
    sources: Sequence[Dataset],
    drawn: Spans,
    recipe: Recipe,
    seed: int,
    tokenizer: Tokenizer,
    label_weights: NDArray[np.float32] | None,
) -> tuple[Targets, list[PrefixTargets | None], Encoded | None]:
    """Return a teacher's answers to all texts of the sources, to their prefixes, and to spans."""
    from sentido_export.teacher import Pupils, answers  # scikit-learn, which takes a second

    labels = np.concatenate([source.labels for source in sources])
    texts = [text for source in sources for text in source.texts]
    fold = folds(groups(texts), _FOLDS, seed)
    count = len(sources[0].label_names)
    numbers = count * (len(texts) + len(drawn.texts))
    most = min(_MOST_PREFIXES, _MOST_NUMBERS // numbers) if recipe.prefix_weight else 0
    if recipe.prefix_weight and most < _MOST_PREFIXES:
        print(
            f"Note: with {count:,} labels the teacher answers {most} beginnings of a text at most."
        )
    generator = np.random.default_rng((seed, most))
    kinds, tokens = [], []  # of each kind of texts, and how many tokens its prefixes have

    def add(
        texts: Sequence[str],
        labels: NDArray[np.int32],
        folds: NDArray[np.int64],
        *,
        are_seen: bool,
    ) -> None:
        prefixes, in_tokens = _draw_prefixes(texts, tokenizer, recipe, most, generator)
        kinds.append(Pupils(texts, labels, folds, prefixes, are_seen))
        tokens.append(in_tokens)

    starts = np.cumsum([len(source) for source in sources])[:-1]
    for source, folds_of_source in zip(sources, np.split(fold, starts), strict=True):
        add(source.texts, source.labels, folds_of_source, are_seen=True)
    if drawn.texts:
        add(drawn.texts, labels[drawn.of], fold[drawn.of], are_seen=False)
    said = answers(kinds, count, tokenizer.words, recipe.negators, label_weights)
    prefixes = [
        _by_text(len(kind.texts), kind.prefixes, in_tokens, answer.prefixes)
        for kind, in_tokens, answer in zip(kinds, tokens, said, strict=True)
    ]
    spans = None
    if drawn.texts:  # the last kind
        spans = _encoded(tokenizer, drawn.texts, said[-1].texts, prefixes[-1])
    of_sources = slice(len(sources))
    soft = np.concatenate([answer.texts for answer in said[of_sources]])
    return soft, list(chain(*prefixes[of_sources])), spans


def _draw_prefixes(
    texts: Sequence[str],
    tokenizer: Tokenizer,
    recipe: Recipe,
    most: int,
    generator: np.random.Generator,
) -> tuple[Prefixes, NDArray[np.int64]]:
    """Draw prefixes of each text that the model reads whole; say how many tokens they have, too."""
    drawn = [np.zeros((3, 0), np.int64)]
    for row, text in enumerate(texts if most else ()):
        known = np.flatnonzero([tokenizer.lookup(w) is not None for w in tokenizer.words(text)])
        count = min(most, len(known) - 1)
        if count > 0 and len(known) <= recipe.max_tokens:
            tokens = 1 + np.sort(generator.choice(len(known) - 1, count, replace=False))
            drawn.append(np.stack([np.full(count, row), known[tokens - 1] + 1, tokens]))
    of, in_words, in_tokens = np.concatenate(drawn, axis=1)
    return Prefixes(of, in_words), in_tokens


def _by_text(
    texts: int, prefixes: Prefixes, tokens: NDArray[np.int64], targets: Targets
) -> list[PrefixTargets | None]:
    """Return the targets of each text's prefixes."""
    bounds = np.searchsorted(prefixes.of, np.arange(texts + 1)).tolist()
    return [
        PrefixTargets(tokens[first:behind], targets[first:behind]) if first < behind else None
        for first, behind in pairwise(bounds)
    ]
