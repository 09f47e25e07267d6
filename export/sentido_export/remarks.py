"""What a person should know of the data before a model learns from it, in a sentence each."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from sentido_export.labels import in_order

_IMBALANCED = 4  # times as many texts of one label as of another
_SAMPLE = 1000  # texts

_WITHOUT_SPACES = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]"
)
"""Letters of languages that put no spaces between words: Thai, Lao, Burmese, Khmer, Japanese, and
Chinese."""
_WORD = 6  # letters that a word of those languages hardly has


def of_texts(texts: Sequence[str], words: Callable[[str], Sequence[str]]) -> Iterator[str]:
    """Say what is odd about the texts; `words`: splits a text into those that the model reads."""
    empty = sum(not text.strip() for text in texts)
    wordless = sum(not any(map(str.isalnum, text)) and not words(text) for text in texts)
    if wordless:
        yield (
            f"{wordless:,} texts hold no word ({empty:,} of them are empty): the model sees nothing"
            " of them and answers all such texts alike; leave them out if they are a mistake"
        )
    sample = texts[:: len(texts) // _SAMPLE + 1]
    found = [word for text in sample for word in words(text)]
    if _is_unsegmented(found, sum(bool(text.strip()) for text in sample)):
        yield (
            f"the texts have {len(found) / len(sample):.1f} words on average, since words are what"
            " spaces separate: in a language without spaces, such as Chinese, Japanese or Thai,"
            " put a space between words, here and in every text that the model is asked about"
        )


def _is_unsegmented(words: Sequence[str], texts: int) -> bool:
    """Whether words seem to be whole sentences."""
    letters = sum(map(len, words))
    foreign = len(_WITHOUT_SPACES.findall(" ".join(words)))
    is_long = 2 * foreign > letters and letters > _WORD * len(words)
    return is_long or (bool(words) and 2 * len(words) < 3 * texts)


def of_labels(counts: Mapping[str, int], *, are_weighted: bool) -> Iterator[str]:
    """Say that some labels are much rarer than others, and what then counts."""
    rarest, commonest = (
        pick(in_order(counts), key=lambda label: counts[label]) for pick in (min, max)
    )
    if _IMBALANCED * counts[rarest] <= counts[commonest]:
        total = sum(counts.values())
        yield (
            f"the labels are imbalanced: {rarest!r} has {counts[rarest]:,} of {total:,} texts, and"
            f" who always answers {commonest!r} is right in {counts[commonest] / total:.1%}: the"
            " figure that counts is macro F1, not accuracy"
            + ("" if are_weighted else " (--class-weights balanced gives rare labels more weight)")
        )
