"""What a file says besides its layers: the version of Keras, the loss, the precision."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from sentido_export.errors import ExportError
from sentido_export.imported.model_file.fields import Version
from sentido_export.imported.model_file.json_text import parse
from sentido_export.imported.model_file.layer import LayerConfig
from sentido_export.imported.model_file.topology import ModelConfig

_HALF = ("float16", "bfloat16")


def version_of(texts: Mapping[str, str], config: Mapping[str, Any], name: str) -> tuple[str, bool]:
    """Return the version of Keras that wrote a file, and whether the file says it."""
    metadata = parse(texts.get("metadata", "{}"), f"metadata.json in {name}")
    inside = metadata.get("keras_version") if isinstance(metadata, dict) else None
    for said in (inside, texts.get("keras_version"), config.get("keras_version")):
        if isinstance(said, str) and re.match(r"\d+\.\d+", said):
            return said[:40], True
    if "registered_name" in config and "backend" not in config:  # model.to_json() of Keras 3
        return "3.0", True
    return "2.0", False


def parsed(said: str) -> Version:
    """Return a version as numbers. Raises ExportError for Keras 1, whose layers are others."""
    major, minor = said.split(".")[:2]
    version = Version(int(major), int(re.match(r"\d*", minor)[0] or 0))  # type: ignore[index]
    if version.major < 2:
        raise ExportError(
            f"the model was saved by Keras {said}, and Keras 2 is the oldest that is read: load it"
            " with Keras 2.2 and save it again"
        )
    return version


def from_logits(texts: Mapping[str, str], config: Mapping[str, Any], name: str) -> bool | None:
    """Return whether the loss takes logits, None where the file does not say it."""
    loss = _loss(texts, config, name)
    inner = loss.get("config") if isinstance(loss, dict) else None
    function = inner if isinstance(inner, str) else loss  # a function is named in `config`
    if isinstance(function, str):
        return False if "crossentropy" in function.lower() else None
    said = inner.get("from_logits") if isinstance(inner, dict) else None
    return said if isinstance(said, bool) else None


def loss_name(texts: Mapping[str, str], config: Mapping[str, Any], name: str) -> str | None:
    """Return the name of the loss or of its class, None where the file does not say it."""
    loss = _loss(texts, config, name)
    if isinstance(loss, dict):
        inner = loss.get("config")
        loss = inner if isinstance(inner, str) else loss.get("class_name")
    return loss if isinstance(loss, str) else None


def _loss(texts: Mapping[str, str], config: Mapping[str, Any], name: str) -> Any:
    """Return the one loss of the model's one output."""
    if "training_config" in texts:
        compiled = parse(texts["training_config"], f"training_config in {name}")
    else:
        compiled = config.get("compile_config")
    loss = compiled.get("loss") if isinstance(compiled, dict) else None
    if isinstance(loss, dict) and "class_name" not in loss and len(loss) == 1:
        loss = next(iter(loss.values()))  # by the name of the output
    if isinstance(loss, list) and len(loss) == 1:
        loss = loss[0]
    return loss


def notes(model: ModelConfig, stated: bool, backend: str) -> tuple[str, ...]:
    """Return what the user must know of a file. Raises ExportError for a quantized model."""
    found = []
    if not stated:
        found.append("The file does not say which Keras wrote it; it is read as one of Keras 2.")
    policies = sorted(set(_policies(model)))
    for policy in policies:
        if "int8" in policy or "int4" in policy or "float8" in policy or "_from_" in policy:
            raise ExportError(
                f"the model is quantized ({policy}), which is not computed here: save it before"
                " model.quantize(...)"
            )
    if any(half in policy for policy in policies for half in _HALF):
        found.append(
            f"The model computes in half precision ({', '.join(policies)}); here it computes in"
            " float32, and its own answers may differ by about 0.01."
        )
    if backend == "theano":
        found.append("The file was written under Theano; kernels of Conv1D are turned round.")
    return tuple(found)


def hard_sigmoid(uses: bool, said: str, version: Version) -> tuple[str, ...]:
    """Return the note on hard_sigmoid, which is another function in Keras 3."""
    if not uses:
        return ()
    is_three = version.major >= 3
    formula = "relu6(x + 3) / 6, as Keras 3" if is_three else "clip(0.2 x + 0.5, 0, 1), as Keras 2"
    other = "2" if is_three else "3"
    return (
        f"The model uses hard_sigmoid and was saved by Keras {said}: it is computed as {formula}"
        f" does. Keras {other} computes another function under this name.",
    )


def _policies(model: ModelConfig) -> Iterator[str]:
    for layer in model.layers:
        if isinstance(layer, ModelConfig):
            yield from _policies(layer)
        elif isinstance(layer, LayerConfig) and layer.class_name != "InputLayer":
            policy = layer.config.get("dtype")
            if isinstance(policy, dict):
                inner = policy.get("config")
                policy = inner.get("name") if isinstance(inner, dict) else policy.get("class_name")
            if isinstance(policy, str):
                yield policy[:60]
