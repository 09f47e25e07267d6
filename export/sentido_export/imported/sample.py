"""Texts of the user's own, read by the scorer's readers: on these Keras and ONNX are compared."""

from sentido_score.errors import ScoreError
from sentido_score.formats.opening import open_source
from sentido_score.formats.reader import Reader
from sentido_score.formats.window import Position
from sentido_score.options import Options

from sentido_export.errors import ExportError

MOST_TEXTS = 10_000
"""The first ones of a file; more would not show more."""


def read_sample(source: str, text_column: str, delimiter: str, format: str | None) -> list[str]:
    """Return the first texts of a table, or the lines of a text file.

    Raises ExportError for what is not such a file, and naming the row that holds no text.
    """
    options = Options(
        text_column=text_column, delimiter=delimiter, input_format=format, partitions=False
    )
    try:
        return _texts(open_source(source, options))
    except ScoreError as error:
        raise ExportError(f"--sample: {error}") from error


def _texts(reader: Reader) -> list[str]:
    texts: list[str] = []
    start = Position()
    for window in reader.windows(start):
        if window.end.file != start.file:
            start = Position(window.end.file)
        for row, problem in sorted(window.texts.errors.items()):
            file = reader.files[start.file].name
            raise ScoreError(f"{file}: {reader.place_of(start, row)}: {problem}")
        texts += window.texts.good
        start = window.end
        if len(texts) >= MOST_TEXTS:
            break
    return texts[:MOST_TEXTS]
