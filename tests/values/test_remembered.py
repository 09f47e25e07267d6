"""Answers that steps of an export share are computed once."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sentido_export.remembered import Remembered


def test_each_text_is_answered_once_and_in_the_order_of_each_question() -> None:
    asked: list[list[int]] = []

    def answer(sequences: Sequence[NDArray[np.int32]]) -> Mapping[str, NDArray[np.float32]]:
        asked.extend(ids.tolist() for ids in sequences)
        sums = np.array([[ids.sum()] for ids in sequences], np.float32)
        return {"sum": sums, "half": sums / np.float32(2)}

    remembered = Remembered(answer)
    one, two, none = (np.array(ids, np.int32) for ids in ([1, 2], [7], []))
    assert remembered([one, two, one])["sum"].tolist() == [[3], [7], [3]]
    found = remembered([none, two, one, none])
    assert found["sum"].tolist() == [[0], [7], [3], [0]]
    assert found["half"].tolist() == [[0], [3.5], [1.5], [0]]
    assert asked == [[1, 2], [7], []]
