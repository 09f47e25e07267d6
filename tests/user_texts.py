"""Generated texts that are hard to split into words."""

import random

COMMON = "aAbBeEhTt  ,.!?\t\n\r\x0b\x0c\x1c\x85\0'İIıißẞΣσςǅﬁ\u0307\u0301\u00a0\u3000👍🏽中字"


def generated(chosen: random.Random, real: list[str]) -> str:
    """Return a string of what is hard: odd spaces, cases that change, pieces of real texts."""
    pieces = []
    for _ in range(chosen.randrange(12)):
        kind = chosen.randrange(4)
        if kind == 0:
            pieces.append("".join(chosen.choices(COMMON, k=chosen.randrange(1, 8))))
        elif kind == 1:
            pieces.append(
                chr(chosen.choice((chosen.randrange(0xD800), chosen.randrange(0xE000, 0x110000))))
            )
        else:
            words = chosen.choice(real).split(" ")
            begin = chosen.randrange(len(words))
            word = " ".join(words[begin : begin + 3])
            pieces.append(chosen.choice((word, word.upper(), word.title())))
    return chosen.choice(("", " ")).join(pieces)
