"""Takes a TextVectorization off the beginning of a model, so that what is left reads ids.

What the layer does is read from its configuration and its words; nothing of it is run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sentido_export.errors import ExportError
from sentido_export.imported.architecture import OOV_TOKEN, TextLayer
from sentido_export.imported.model_file.calls import Reference
from sentido_export.imported.model_file.layer import LayerConfig
from sentido_export.imported.model_file.topology import InputConfig, ModelConfig

CLASS = "TextVectorization"
ASSETS = "assets/"
"""Where a `.keras` file keeps the words of its layers."""

_STANDARDIZED = {  # what is done to a text: lower case, and no punctuation
    None: (False, False),
    "lower": (True, False),
    "strip_punctuation": (False, True),
    "lower_and_strip_punctuation": (True, True),
}
_ONLY: Mapping[str, tuple[Any, ...]] = {
    "split": ("whitespace",),
    "ngrams": (None,),
    "output_mode": ("int",),
    "ragged": (False, None),
    "sparse": (False, None),
    "encoding": ("utf-8", None),
}
_OF_NO_IDS = frozenset(
    (
        *("name", "trainable", "dtype", "batch_input_shape", "input_shape", "build_config"),
        *("max_tokens", "pad_to_max_tokens", "idf_weights", "vocabulary_size", "autocast"),
        *("has_input_vocabulary", "standardize", "output_sequence_length", "vocabulary"),
    )
)


def text_layer(model: ModelConfig, texts: Mapping[str, str]) -> TextLayer | None:
    """Return the TextVectorization of a model, None if there is none. Raises ExportError.

    `texts` are those of its file, in which the words may stand apart.
    """
    layers = [each for each in model.layers if each.class_name == CLASS]
    if not layers:
        return None
    if len(layers) > 1:
        names = ", ".join(each.name for each in layers)
        raise ExportError(
            f"the model has {len(layers)} layers {CLASS} ({names:.100}): only models that read one"
            " text by one of them are supported"
        )
    (layer,) = layers
    assert isinstance(layer, LayerConfig)
    return _read(layer, texts)


def without_text_layer(model: ModelConfig, layer: TextLayer) -> ModelConfig:
    """Return a model that reads the ids that its TextVectorization gives."""
    (call,) = calls if len(calls := model.calls.get(layer.name, ())) == 1 else (None,)
    names = [entry.name for entry in model.inputs]
    if call is None or [reference.name for reference in call.inputs] != names or len(names) != 1:
        raise ExportError(
            f"layer {layer.name!r} ({CLASS}) is not the one layer that takes the model's one input,"
            " a text: only such models are supported"
        )
    others = {name: calls for name, calls in model.calls.items() if name != layer.name}
    for name, calls in others.items():
        if any(Reference(names[0]) in call.inputs for call in calls):
            raise ExportError(
                f"layer {name!r} takes the text itself, beside layer {layer.name!r} ({CLASS}):"
                " only models that read a text by one TextVectorization are supported"
            )
    return replace(
        model,
        layers=tuple(each for each in model.layers if each.name not in (layer.name, names[0])),
        inputs=(InputConfig(layer.name, (layer.length,)),),
        calls=others,
    )


def _read(layer: LayerConfig, texts: Mapping[str, str]) -> TextLayer:
    where = f"layer {layer.name!r} ({CLASS})"
    config = layer.config
    for name, value in config.items():
        if name in _ONLY and value not in _ONLY[name]:
            raise ExportError(f"{where}: {name}={_shown(value)} {_why_not(name)}")
        if name not in _ONLY and name not in _OF_NO_IDS and value not in (None, False):
            raise ExportError(f"{where}: {name}={_shown(value)} is not computed here")
    if config.get("split", "whitespace") is None:
        raise ExportError(f"{where}: split=None {_why_not('split')}")
    length = config.get("output_sequence_length")
    if length is not None and (type(length) is not int or length < 1):
        raise ExportError(f"{where}: output_sequence_length={_shown(length)} is no number of ids")
    standardize = config.get("standardize", "lower_and_strip_punctuation")
    function = None if _is_own(standardize) else _name_of(standardize)
    lower, strips = (False, False) if function else _STANDARDIZED[standardize]
    return TextLayer(
        layer.name, lower, strips, function, length, _words(where, config.get("vocabulary"), texts)
    )


def _is_own(standardize: Any) -> bool:
    """Return whether this is one of Keras' own ways, not a function of the user's."""
    return standardize is None or (isinstance(standardize, str) and standardize in _STANDARDIZED)


def _name_of(function: Any) -> str:
    """Return the name of a function that a file names: Keras 2 and 3 write it in several ways."""
    name = function
    if isinstance(function, dict):
        name = function.get("registered_name")
        if name in (None, "function"):
            name = function.get("config")
        if not isinstance(name, str):
            name = function.get("class_name")
    return _shown(name)


def _shown(value: Any) -> str:
    return f"{value!s:.60}"


def _why_not(name: str) -> str:
    if name == "output_mode":
        return "gives a bag of words, not ids in their order: only int is supported"
    if name == "encoding":
        return "is not supported: texts are UTF-8"
    return "is not supported"


def _words(where: str, configured: Any, texts: Mapping[str, str]) -> tuple[str, ...] | None:
    """Return the word of each id, None if the file does not hold them."""
    if isinstance(configured, dict) and isinstance(configured.get("items"), list):
        configured = configured["items"]  # a tuple, as Keras 3 writes it
    if isinstance(configured, list) and configured:
        return numbered(where, configured)
    files = {
        text.replace("\r\n", "\n")  # as Python writes it on Windows
        for name, text in texts.items()
        if name.startswith(ASSETS)
    }
    if len(files) > 1:
        raise ExportError(f"{where}: the file holds {len(files)} different vocabularies")
    return numbered(where, files.pop().rstrip("\n").split("\n")) if files else None


def numbered(where: str, words: Sequence[Any]) -> tuple[str, ...]:
    """Return words with the two special ones before them, as `get_vocabulary()` gives them."""
    for word in words:
        if not isinstance(word, str):
            raise ExportError(f"{where}: its vocabulary holds {word!r:.60}, a word is needed")
    special = ("", OOV_TOKEN)
    whole = (*words,) if (*words[:2],) == special else (*special, *words)
    if len(whole) == len(special):
        raise ExportError(
            f"{where}: its vocabulary is empty: adapt() was not called before it was saved"
        )
    return whole
