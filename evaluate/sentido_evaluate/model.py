"""What an evaluation says of the model."""

from typing import Any

from sentido_bundle import Bundle

FORMAT = 1
"""Of an evaluation as JSON."""


def model_facts(bundle: Bundle) -> dict[str, Any]:
    """Return what identifies a model."""
    return {
        "name": bundle.name,
        "version": bundle.version,
        "digest": bundle.digest,
        "precision": str(bundle.precision),
        "task": str(bundle.manifest.task.kind),
        "labels": list(bundle.labels),
    }
