"""Other spellings of negators, which mean to a model what it has learned of the usual one.

Phones write "isn’t", with a typographic apostrophe, and people in a hurry "isnt". Texts to train on
have few of them, and a model that does not know such a word reads the opposite of what is meant.
"""

from collections.abc import Sequence

import numpy as np
from sentido_bundle import Tokenizer

from sentido_export.model import Layers, build
from sentido_export.recipe import Recipe

_ONE_OF = 100  # words of a full vocabulary may go


def with_spellings(
    layers: Layers, tokenizer: Tokenizer, recipe: Recipe
) -> tuple[Layers, Tokenizer, Sequence[str]]:
    """Give other spellings of negators the vectors of the usual ones; return which, too.

    Those that are not in the vocabulary come to its end, in a full one in the place of its rarest
    words.
    """
    usual = _spellings(tokenizer, recipe.negators)
    if not usual:
        return layers, tokenizer, []
    old = tokenizer.vocabulary
    known = {spelling: id for spelling in usual if (id := tokenizer.lookup(spelling)) is not None}
    room = max(recipe.words - len(old), len(old) // _ONE_OF)
    new = [spelling for spelling in usual if spelling not in known][:room]
    spared = {*usual.values(), *known.values()}
    rarest = [id for id in range(len(old) - 1, 0, -1) if id not in spared]
    kept = np.delete(np.arange(len(old)), rarest[: max(0, len(old) + len(new) - recipe.words)])
    table, *others = layers.model.get_weights()
    for spelling, id in known.items():
        table[id] = table[usual[spelling]]
    table = np.concatenate([table[kept], table[[usual[spelling] for spelling in new]]])
    grown = build(recipe, len(table), layers.label_count)
    grown.model.set_weights([table, *others])
    vocabulary = [*(old[id] for id in kept), *new]
    spelled = Tokenizer(vocabulary, tokenizer.rules, tokenizer.inputs, tokenizer.cleaner)
    return grown, spelled, [*known, *new]


def _spellings(tokenizer: Tokenizer, negators: Sequence[str]) -> dict[str, int]:
    """Return the id of the usual spelling for each other one, those of common words first.

    Without an apostrophe it is a spelling of a negator only if it is a negator, too: "wont" is,
    "we're" and "were" are two words.
    """
    known = {word: id for word in negators if (id := tokenizer.lookup(word)) is not None}
    return {
        spelling: known[word]
        for word in sorted(known, key=known.__getitem__)
        if "'" in word
        for spelling in (word.replace("'", "’"), word.replace("'", ""))
        if ("’" in spelling or spelling in negators) and tokenizer.words(spelling) == [spelling]
    }
