"""From texts to a trained model: with a teacher, without one, or the better of both."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sentido_bundle import Tokenizer

from sentido_export.data import Split
from sentido_export.further import Further
from sentido_export.lessons import Encoded, encode, lessons_of
from sentido_export.model import Layers, build, set_seed
from sentido_export.recipe import Recipe, Teacher
from sentido_export.remembered import Answer, Remembered
from sentido_export.spellings import with_spellings
from sentido_export.templates import Templates
from sentido_export.train import Course, log_loss, train


@dataclass(frozen=True)
class Material:
    """What a model is trained on, and chosen by."""

    tokenizer: Tokenizer
    parts: Split
    more: Sequence[Further] = ()
    templates: Templates | None = None
    label_weights: NDArray[np.float32] | None = None  # how much a text of each counts


@dataclass(frozen=True)
class Fitted:
    """A trained model."""

    layers: Layers
    tokenizer: Tokenizer  # with the vocabulary that the layers are for
    course: Course
    answer: Remembered  # what the layers give, from now on
    facts: dict[str, Any]  # of the training, for the manifest


def fit(material: Material, recipe: Recipe, seed: int) -> Fitted:
    """Train as a recipe says. Raises ExportError."""
    if recipe.teacher is not Teacher.AUTO:
        return _fitted(material, recipe, seed)
    validation = material.parts.validation
    tried: dict[Teacher, tuple[float, Fitted]] = {}  # with the loss on the validation texts
    for teacher in (Teacher.OFF, Teacher.ON):
        began = time.monotonic()
        fitted = _fitted(material, replace(recipe, teacher=teacher), seed)
        answers = _probabilities(fitted.answer, encode(fitted.tokenizer, validation))
        loss = log_loss(answers, validation.labels, material.label_weights)
        tried[teacher] = loss, fitted
        seconds = time.monotonic() - began
        print(f"Teacher {teacher}: validation loss {loss:.4f}, {seconds:.0f} s.")
    best = min(tried, key=lambda teacher: tried[teacher][0])
    print(f"Kept the model with teacher {best}.", flush=True)
    _, fitted = tried[best]
    return replace(fitted, facts={**fitted.facts, "teacher": str(best)})


def _fitted(material: Material, recipe: Recipe, seed: int) -> Fitted:
    tokenizer, parts = material.tokenizer, material.parts
    sources = [parts.train, *(further.train for further in material.more)]
    if recipe.teacher is Teacher.ON:
        print("Asking the teacher ...", flush=True)
    lessons = lessons_of(
        sources, tokenizer, recipe, material.templates, seed, material.label_weights
    )
    set_seed(seed)
    layers = build(recipe, len(tokenizer.vocabulary), len(parts.train.label_names))
    layers.model.summary()
    validation = encode(tokenizer, parts.validation)
    course = train(layers, lessons, validation, recipe, seed, material.label_weights)
    layers, tokenizer, spellings = with_spellings(layers, tokenizer, recipe)
    answer, facts = Remembered(layers.answer), dict[str, Any]()
    if spellings:
        facts["spellings"] = spellings
        print(
            f"Gave {len(spellings)} other spellings of negators, such as {spellings[0]}, the"
            " vectors of the usual ones.",
            flush=True,
        )
    if recipe.calibrate:
        facts["calibration"] = _calibrate(layers, answer, parts, tokenizer)
    return Fitted(layers, tokenizer, course, answer, facts)


def _calibrate(layers: Layers, after: Answer, parts: Split, tokenizer: Tokenizer) -> dict[str, Any]:
    """Fold a temperature into the last layer; say what it changed on the held-out texts.

    `after`: what the layers give, asked only once the temperature is in them.
    """
    from sentido_export.temperature import Trust, fit_for_folding, fold, log_probabilities

    validation = encode(tokenizer, parts.validation)
    scores = log_probabilities(_probabilities(layers.answer, validation))
    temperature = fit_for_folding(scores, parts.validation.labels)
    test = encode(tokenizer, parts.test)
    old = Trust.of(_probabilities(layers.answer, test), parts.test.labels)
    fold(layers.dense, temperature)
    new = Trust.of(_probabilities(after, test), parts.test.labels)
    print(
        f"Temperature {temperature:.3f}: calibration error {old.ece:.4f} before,"
        f" {new.ece:.4f} after; Brier score {old.brier:.4f} before, {new.brier:.4f} after.",
        flush=True,
    )
    return {"temperature": temperature, "before": asdict(old), "after": asdict(new)}


def _probabilities(answer: Answer, encoded: Encoded) -> NDArray[np.float32]:
    return answer(encoded.sequences)["probabilities"]
