"""What is said of data before a model learns from it."""

import os
import re
import time

import pytest
from sentido_bundle import Tokenizer
from sentido_export import remarks
from sentido_export.errors import ExportError
from sentido_export.export import keras_rules
from sentido_export.machine import created

WORDS = Tokenizer([None], keras_rules(100)).words
ORDINARY = ["A good film.", "ok", "Not one that I would see again"] * 9


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (ORDINARY, ""),
        ([*ORDINARY, "👍", "..."], "1 texts hold no word (0 of them are empty)"),
        ([*ORDINARY, "", " \n", "?!"], "3 texts hold no word (2 of them are empty)"),
        (["good", "bad"] * 20, "have 1.0 words on average"),
        (["很好看的电影，我很喜欢。"] * 9, "put a space between words"),
        (["很好看的电影, 我非常喜欢它啊. 很好看的电影的啊"] * 9, "such as Chinese"),
        (["หนังเรื่องนี้ดีมาก 5 ดาว", "ไม่ชอบหนังเรื่องนี้เลย"] * 9, "Japanese or Thai"),
        (["很 好看 的 电影 我 很 喜欢"] * 9, ""),
        (["фильм просто отличный"] * 9, ""),
        (["Donaudampfschifffahrtsgesellschaft ist gut"] * 9, ""),
    ],
)
def test_texts_that_are_odd_are_said_in_a_sentence(texts: list[str], said: str) -> None:
    found = list(remarks.of_texts(texts, WORDS))
    assert len(found) == (said != "")
    assert said in "".join(found)


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"a": 100, "b": 26}, ""),
        (
            {"fraud": 15, "ok": 2985},
            "'fraud' has 15 of 3,000 texts, and who always answers 'ok' is right in 99.5%: the"
            " figure that counts is macro F1, not accuracy",
        ),
        ({"1": 4, "2": 40, "3": 10, "4": 11}, "'1' has 4 of 65 texts, and who always answers '2'"),
    ],
)
def test_labels_that_are_imbalanced_are_said(counts: dict[str, int], said: str) -> None:
    found = list(remarks.of_labels(counts, are_weighted=False))
    assert len(found) == (said != "")
    assert said in "".join(found)
    assert all("--class-weights balanced" in sentence for sentence in found)
    assert "--class-weights" not in "".join(remarks.of_labels(counts, are_weighted=True))


def test_the_time_of_a_bundle_is_now_unless_it_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    assert created()[:3] == time.strftime("%Y")[:3]
    for seconds, wanted in (
        ("0", "1970-01-01T00:00:00Z"),
        ("253402300799", "9999-12-31T23:59:59Z"),
    ):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", seconds)
        assert created() == wanted
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "")  # as if it were not set
    assert created() > "2026"


@pytest.mark.parametrize("seconds", ["x", "-1", "1.5", "253402300800", "1" * 99, " 1", "\u0663"])
def test_a_time_that_cannot_be_meant_is_refused(
    seconds: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "SOURCE_DATE_EPOCH", seconds)
    with pytest.raises(ExportError, match=re.escape("SOURCE_DATE_EPOCH is ")):
        created()
