"""The options of the command that say where words and ids come from, and what they amount to."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from sentido_bundle.settings import declared, setting

from sentido_export.errors import ExportError
from sentido_export.imported.architecture import TextLayer
from sentido_export.imported.keras_imdb import read_keras_imdb
from sentido_export.imported.keras_tokenizer import read_tokenizer
from sentido_export.imported.model_file.opening import HDF5, ZIP, begins_as
from sentido_export.imported.model_file.read import read_text_layer
from sentido_export.imported.rows import check_rows, few_words
from sentido_export.imported.vectorized import read_vectorized
from sentido_export.imported.vocabulary import (
    KERAS_FILTERS,
    TextOptions,
    Vocabulary,
)
from sentido_export.imported.word_index import read_list, read_word_index

KERAS_IMDB = "keras-imdb"
_SOURCES = ("tokenizer", "word_index", "vocabulary")
_OF_A_TOKENIZER = ("oov_token", "filters", "lower", "char_level")


@dataclass(frozen=True)
class VocabularyOptions:
    """What was given of these options; the default is what was not."""

    tokenizer: Path | None = setting(
        None,
        "Keras' Tokenizer: what tokenizer.to_json() returned, or a pickle (of joblib too),"
        " which is read as data and never run; or a .keras with a TextVectorization",
        metavar="FILE",
    )
    word_index: Path | None = setting(
        None,
        "words and their ids, as JSON or pickled: what tokenizer.word_index holds",
        metavar="FILE",
    )
    vocabulary: str | None = setting(
        None,
        "one word per line, the first with id 1; or a JSON list, whose first item has id 0;"
        f" or {KERAS_IMDB}, the words of Keras' data set imdb",
        metavar="FILE",
    )
    first_id: int | None = setting(
        None, "the id of the first word of --vocabulary FILE", least=None, most=None
    )
    num_words: int | None = setting(
        None,
        "leave out words whose id is N or more, as Keras' num_words does (default: what the"
        " Tokenizer says; for a word index the rows of the Embedding)",
        least=None,
        most=None,
    )
    oov_token: str | None = setting(
        None, "the word whose id unknown words become", metavar="WORD", may_be_empty=True
    )
    filters: str | None = setting(
        None,
        "characters that separate words (default: as Keras' Tokenizer)",
        metavar="CHARACTERS",
        may_be_empty=True,
    )
    lower: bool = setting(True, "leave upper case as it is")
    char_level: bool = setting(False, "each character is a word")

    def text_layer(self, of_model: TextLayer | None) -> TextLayer | None:
        """Return the TextVectorization that numbers words, if it is one: the model's, or a file's.

        Raises ExportError for options that say otherwise.
        """
        layer, file = of_model, self.tokenizer
        if layer is None and file is not None and begins_as(file, ZIP, HDF5):
            layer = read_text_layer(file)
        if layer is not None:
            self._check_layer(layer, is_of_model=of_model is not None)
        return layer

    def read(self, rows: int, layer: TextLayer | None = None) -> Vocabulary:
        """Read the vocabulary of a model whose Embedding has so many rows. Raises ExportError.

        `layer`: the TextVectorization that `text_layer` returned.
        """
        if layer is not None:
            found = read_vectorized(layer, Path(self.vocabulary) if self.vocabulary else None)
            return _of_rows(f"the TextVectorization {layer.name!r}", found, rows)
        self._check()
        options = self._text_options()
        if self.tokenizer is not None:
            where, found = str(self.tokenizer), read_tokenizer(self.tokenizer, self.num_words, rows)
        elif self.vocabulary == KERAS_IMDB:
            where, found = KERAS_IMDB, read_keras_imdb(self.word_index, options, rows)
        elif self.word_index is not None:
            where, found = str(self.word_index), read_word_index(self.word_index, options, rows)
        else:
            where = str(self.vocabulary)
            found = read_list(Path(where), options, self.first_id)
        return _of_rows(where, found, rows)

    def _text_options(self) -> TextOptions:
        return TextOptions(
            num_words=self.num_words,
            filters=KERAS_FILTERS if self.filters is None else self.filters,
            lower=self.lower,
            char_level=self.char_level,
            oov_token=self.oov_token,
        )

    def _check_layer(self, layer: TextLayer, *, is_of_model: bool) -> None:
        """Raise ExportError for options that do not go with a TextVectorization."""
        allowed = ("vocabulary",) if is_of_model else ("vocabulary", "tokenizer")
        told = [one for name, one in self._given().items() if name not in allowed]
        if told:
            raise ExportError(
                f"{', '.join(told)}: the TextVectorization {layer.name!r} itself says which words"
                " have which ids: leave it out"
            )
        if self.vocabulary == KERAS_IMDB:
            raise ExportError(
                f"--vocabulary {KERAS_IMDB}: the TextVectorization {layer.name!r} numbers words"
                " otherwise: give a file of its own words"
            )

    def _given(self) -> dict[str, str]:
        """Return the flags of what was given, by the names of the settings."""
        settings = declared(type(self))
        return {one.name: one.flag for one in settings if getattr(self, one.name) != one.default}

    def _check(self) -> None:
        """Raise ExportError for options that do not go together."""
        flags = self._given()
        given = [flags[name] for name in _SOURCES if name in flags]
        is_imdb = self.vocabulary == KERAS_IMDB
        if is_imdb and given == ["--word-index", "--vocabulary"]:
            given = ["--vocabulary"]
        if len(given) != 1:
            raise ExportError(
                f"{' and '.join(given) or 'no vocabulary'} given: one of --tokenizer,"
                " --word-index, --vocabulary says which words have which ids"
            )
        if self.first_id is not None and (is_imdb or given != ["--vocabulary"]):
            raise ExportError("--first-id counts the words of --vocabulary FILE: leave it out here")
        told = [flags[name] for name in _OF_A_TOKENIZER if name in flags]
        if self.tokenizer is not None and told:
            raise ExportError(
                f"{', '.join(told)}: the Tokenizer itself says so: leave it out, or give its words"
                " with --word-index"
            )


def _of_rows(where: str, found: Vocabulary, rows: int) -> Vocabulary:
    """Return the vocabulary, if the model has a row for each of its ids. Raises ExportError."""
    check_rows(where, found, rows)
    notes = (*found.notes, *few_words(where, found, rows))
    return dataclasses.replace(found, notes=notes)
