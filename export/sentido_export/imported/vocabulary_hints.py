"""What texts of the user's own tell about a vocabulary that is likely another model's."""

from collections.abc import Sequence

from sentido_bundle import Tokenizer

_MOST_UNKNOWN = 0.4
_MOST_CHARACTERS = 15
"""More of the words, or more characters per word, than a right vocabulary leaves."""

_FEWEST_WORDS = 1.5  # per text, where most of them are out-of-vocabulary


def vocabulary_hints(where: str, tokenizer: Tokenizer, texts: Sequence[str]) -> list[str]:
    """Return a sentence for each sign that the vocabulary does not belong to these texts."""
    encodings = tokenizer.encode_all(texts)
    words = sum(len(tokenizer.words(text)) for text in texts)
    unknown = sum(encoding.out_of_vocabulary_count for encoding in encodings)
    characters = sum(encoding.character_count for encoding in encodings)
    if not words:
        return []
    is_whole = words / len(texts) < _FEWEST_WORDS and unknown / words > _MOST_UNKNOWN
    is_long = characters / words > _MOST_CHARACTERS
    if not tokenizer.rules.char_level and (is_long or is_whole):
        return [
            f"{where}: its texts have {words / len(texts):.1f} words each, one word per"
            f" {characters / words:.0f} characters: in a language that is written without spaces"
            " your program must have divided texts into words, and callers must send them so"
            " (--cleaned-by-caller)"
        ]
    if unknown / words > _MOST_UNKNOWN:
        return [
            f"{where}: {unknown / words:.0%} of the words in its texts are out-of-vocabulary: this"
            " is likely the vocabulary of another model, or your program changes texts before it"
        ]
    return []
