"""Labels, task and thresholds of a model that was trained elsewhere."""

from collections.abc import Mapping, Sequence

from sentido_bundle import Task, TaskKind

from sentido_export.errors import ExportError
from sentido_export.imported.head import Head


def labels_for(head: Head, given: Sequence[str] | None) -> tuple[str, ...]:
    """Return a label for each probability: those that were given, or 0, 1, and so on."""
    count = head.label_count
    if given is None:
        return tuple(map(str, range(count)))
    if len(given) != count:
        of_one = ": its one sigmoid gives two, of 0 and of 1" if head.splits else ""
        probabilities = "probability" if count == 1 else "probabilities"
        raise ExportError(
            f"--labels {' '.join(given)[:100]}: {len(given)} labels, the model has {count}"
            f" {probabilities}{of_one}; name each, in the order of the model's outputs"
        )
    return tuple(given)


def task_for(kind: str | None, labels: Sequence[str], thresholds: Mapping[str, float]) -> Task:
    """Return the task, with a threshold for each label of a multi_label one."""
    if kind != TaskKind.MULTI_LABEL:
        if thresholds:
            raise ExportError(
                "--threshold is of --task multi_label: of a single label the likeliest is taken"
            )
        return Task(TaskKind.SINGLE)
    for label in thresholds:
        if label not in labels:
            raise ExportError(
                f"--threshold {label}: there is no such label, there are {', '.join(labels)[:200]}"
            )
    return Task(TaskKind.MULTI_LABEL, tuple(thresholds.get(label, 0.5) for label in labels))
