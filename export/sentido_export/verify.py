"""Parity: that ONNX Runtime repeats what Keras answers."""

from collections.abc import Sequence

from sentido_bundle import Against, GoldenText, Parity, Tokenizer
from sentido_bundle.proving import largest_difference

from sentido_export.errors import ExportError
from sentido_export.golden_texts import GOLDEN_TEXTS
from sentido_export.remembered import Answer

TOLERANCE = 1e-5


def golden_answers(answer: Answer, tokenizer: Tokenizer) -> list[GoldenText]:
    """Let Keras answer the golden texts."""
    sequences = [tokenizer.encode(text).ids for text in GOLDEN_TEXTS]
    answers = answer(sequences)
    return [
        GoldenText(text, ids, {name: rows[index] for name, rows in answers.items()})
        for index, (text, ids) in enumerate(zip(GOLDEN_TEXTS, sequences, strict=True))
    ]


def compare(
    keras: Answer, onnx: Answer, tokenizer: Tokenizer, texts: Sequence[str], against: Against
) -> Parity:
    """Compare what Keras and ONNX Runtime answer to the golden texts and to `texts`.

    Raises ExportError if a value of any output differs by more than the tolerance.
    """
    texts = [*GOLDEN_TEXTS, *texts]
    sequences = [tokenizer.encode(text).ids for text in texts]
    wanted = keras(sequences)
    difference = max(
        largest_difference(rows, wanted[name]) for name, rows in onnx(sequences).items()
    )
    if not difference <= TOLERANCE:  # not: NaN is no match
        raise ExportError(
            f"ONNX Runtime's answers differ from Keras' by {difference:.2g}, at most"
            f" {TOLERANCE:.0e} is allowed: no bundle was written"
        )
    return Parity(against, len(texts), difference, TOLERANCE)
