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
from sentido_export.templates import Templates
from sentido_export.train import Course, train

_LEAST_TEMPERATURE, _MOST_TEMPERATURE = 0.5, 10.0


@dataclass(frozen=True)
class Material:
    """What a model is trained on, and chosen by."""

    tokenizer: Tokenizer
    parts: Split
    more: Sequence[Further] = ()
    templates: Templates | None = None
    label_weights: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Fitted:
    """A trained model."""

    layers: Layers
    course: Course
    facts: dict[str, Any]  # of the training, for the manifest
    loss: float  # on the validation texts


def fit(material: Material, recipe: Recipe, seed: int) -> Fitted:
    """Train as a recipe says. Raises ExportError."""
    validation = encode(material.tokenizer, material.parts.validation)
    if recipe.teacher is not Teacher.AUTO:
        return _fitted(material, validation, recipe, seed)
    tried: dict[Teacher, Fitted] = {}
    for teacher in (Teacher.OFF, Teacher.ON):
        began = time.monotonic()
        tried[teacher] = _fitted(material, validation, replace(recipe, teacher=teacher), seed)
        print(
            f"Teacher {teacher}: validation loss {tried[teacher].loss:.4f},"
            f" {time.monotonic() - began:.0f} s."
        )
    best = min(tried, key=lambda teacher: tried[teacher].loss)
    print(f"Kept the model with teacher {best}.", flush=True)
    return replace(tried[best], facts={**tried[best].facts, "teacher": str(best)})


def _fitted(material: Material, validation: Encoded, recipe: Recipe, seed: int) -> Fitted:
    tokenizer, parts = material.tokenizer, material.parts
    sources = [parts.train, *(further.train for further in material.more)]
    if recipe.teacher is Teacher.ON:
        print("Asking the teacher ...", flush=True)
    lessons = lessons_of(sources, tokenizer, recipe, material.templates, seed)
    set_seed(seed)
    layers = build(recipe, len(tokenizer.vocabulary), len(parts.train.label_names))
    layers.model.summary()
    course = train(layers, lessons, validation, recipe, seed, material.label_weights)
    facts: dict[str, Any] = {}
    if recipe.calibrate:
        facts["calibration"] = _calibrate(layers, validation, parts, tokenizer)
    answers = _answers(layers, validation)
    return Fitted(layers, course, facts, _log_loss(answers, parts.validation.labels))


def _calibrate(
    layers: Layers, validation: Encoded, parts: Split, tokenizer: Tokenizer
) -> dict[str, Any]:
    """Fold a temperature into the last layer; say what it changed on the held-out texts."""
    from sentido_export.temperature import Trust, fit_temperature, fold, log_probabilities

    scores = log_probabilities(_answers(layers, validation))
    temperature = fit_temperature(
        scores, parts.validation.labels, _LEAST_TEMPERATURE, _MOST_TEMPERATURE
    )
    test = encode(tokenizer, parts.test)
    before = Trust.of(_answers(layers, test), parts.test.labels)
    fold(layers.dense, temperature)
    after = Trust.of(_answers(layers, test), parts.test.labels)
    print(
        f"Temperature {temperature:.3f}: calibration error {before.ece:.4f} before,"
        f" {after.ece:.4f} after; Brier score {before.brier:.4f} before, {after.brier:.4f} after.",
        flush=True,
    )
    return {"temperature": temperature, "before": asdict(before), "after": asdict(after)}


def _answers(layers: Layers, encoded: Encoded) -> NDArray[np.float32]:
    return layers.answer(encoded.sequences)["probabilities"]


def _log_loss(probabilities: NDArray[np.float32], labels: NDArray[np.int32]) -> float:
    of_label = probabilities[np.arange(len(labels)), labels]
    return -float(np.log(np.maximum(of_label, 1e-7)).mean())
