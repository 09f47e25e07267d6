"""Which graph computes a model: one of real steps where there is one, else one of padded texts."""

from dataclasses import dataclass

from sentido_bundle import Layout, Padding, bounds

from sentido_export.imported.graph.build import Built, build_alone, build_fixed, is_masked
from sentido_export.imported.graph.short import NeedsPadding, build_short
from sentido_export.imported.head import Head

_MOST_BYTES = bounds.WEIGHTS_BYTES - (1 << 20)  # of weights and tables; the rest is for alignment


@dataclass(frozen=True)
class Path:
    """A graph, and how it comes to the answers for padded texts.

    `name`: masked, states, counted, fixed or alone. `note`: why that one, and what it costs.
    """

    name: str
    layout: Layout
    built: Built
    note: str


def alone_path(head: Head) -> Path:
    """Build the graph for texts that are not padded at all."""
    note = (
        "path alone: without output_sequence_length a text is not padded, and so it is computed by"
        " itself, as model.predict does for one text; in Keras' batches padding to the longest text"
        " changes the answers to the others"
    )
    return Path("alone", Layout.ALONE, build_alone(head), note)


def choose_path(head: Head, length: int, padding: Padding, *, is_fixed: bool = False) -> Path:
    """Build the graph of real steps; that of padded texts with `is_fixed`, or if there is none."""
    try:
        if is_fixed:
            raise NeedsPadding("that was asked for")
        weights = sum(array.nbytes for one in head.architecture.layers for array in one.weights)
        short = build_short(head, length, padding, _MOST_BYTES - weights)
    except NeedsPadding as reason:
        note = f"path fixed: every text costs {length:,} tokens, since {reason}"
        return Path("fixed", Layout.FIXED, build_fixed(head, length, padding), note)
    if is_masked(head):
        name, why = "masked", "the layers step over padding"
    elif short.has_states:
        name, why = "states", "what the layers have read of padding is looked up by its length"
    else:
        name, why = "counted", "padded steps are all alike"
    tables = f", in tables of {short.table_bytes / 1e6:,.1f} MB" if short.table_bytes else ""
    note = f"path {name}: a text costs its own tokens, not {length:,}, since {why}{tables}"
    return Path(name, Layout.LENGTHS, short.built, note)
