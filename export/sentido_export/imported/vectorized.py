"""The vocabulary of a model whose words a TextVectorization numbers, from its words or a file's."""

from pathlib import Path

from sentido_bundle.sections import TokenizerKind
from sentido_bundle.text_vectorization import PUNCTUATION

from sentido_export.errors import ExportError
from sentido_export.imported.architecture import OOV_TOKEN, TextLayer
from sentido_export.imported.model_file.text_layer import numbered
from sentido_export.imported.vocabulary import TextOptions, Vocabulary, vocabulary_of
from sentido_export.imported.word_index import listed_words

SAVE_WORDS = 'json.dump(layer.get_vocabulary(), open("vocabulary.json", "w"))'
"""The line that saves the words of a layer."""


def read_vectorized(layer: TextLayer, file: Path | None) -> Vocabulary:
    """Return the words of a layer, or where it has none those of a file. Raises ExportError."""
    what = f"the TextVectorization {layer.name!r}"
    if layer.words is not None and file is not None:
        raise ExportError(f"--vocabulary {file}: {what} brings its words: leave the flag out")
    words = layer.words
    if file is not None:
        words = numbered(str(file), _listed(file))
    if words is None:
        raise ExportError(
            f"{what} has lost its words, which an .h5 file or model.json does not keep: where the"
            f" model was trained, save them by {SAVE_WORDS} and give --vocabulary vocabulary.json"
        )
    return _vocabulary(str(file or what), layer, words)


def _listed(file: Path) -> list[str]:
    words = listed_words(file)
    if words[:1] == [OOV_TOKEN]:
        raise ExportError(
            f"{file}: begins with {OOV_TOKEN}, but id 0 is padding in a model that reads ids: save"
            f" the words of the model's own layer by {SAVE_WORDS}"
        )
    return words


def _vocabulary(where: str, layer: TextLayer, words: tuple[str, ...]) -> Vocabulary:
    ids = {word: id for id, word in enumerate(words) if id}
    if len(ids) < len(words) - 1:
        twice = next(word for id, word in enumerate(words) if id and ids[word] != id)
        raise ExportError(
            f"{where}: {twice!r:.60} is there twice: give the list that the model was trained with"
        )
    options = TextOptions(
        lower=layer.lower,
        filters=PUNCTUATION if layer.strips else "",
        oov_token=OOV_TOKEN,
        kind=TokenizerKind.TEXT_VECTORIZATION,
    )
    return vocabulary_of(where, ids, options)
