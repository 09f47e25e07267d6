"""A user's model and vocabulary are data: nothing that reads them can run what is in them."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT

IMPORTED = ROOT / "export" / "sentido_export" / "imported"
RUNNING = {  # what loads a model or an object by running something of its file
    *("load_model", "model_from_json", "model_from_config", "model_from_yaml", "from_config"),
    *("deserialize_keras_object", "deserialize", "load_weights", "tf_keras", "eval", "exec"),
    *("__import__", "importlib", "import_module", "allow_pickle", "enable_unsafe_deserialization"),
}
PICKLES = {"pickle", "_pickle", "cPickle", "dill", "joblib", "cloudpickle", "marshal", "shelve"}
FRAMEWORKS = {"keras", "tensorflow", "tf2onnx"}


def names(path: Path) -> Iterator[str]:
    """Return every name that a module uses, also of modules, attributes and arguments."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (part for alias in node.names for part in alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            yield from (node.module or "").split(".")
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.keyword):
            yield node.arg or ""


MODULES = sorted(IMPORTED.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(IMPORTED)))
def test_nothing_of_a_users_file_is_run(path: Path) -> None:
    assert not set(names(path)) & (RUNNING | PICKLES)


def test_reading_a_model_file_needs_no_keras() -> None:
    reading = sorted((IMPORTED / "model_file").glob("*.py"))
    assert len(reading) > 10
    for path in [*reading, IMPORTED / "architecture.py"]:
        assert not set(names(path)) & FRAMEWORKS, path
