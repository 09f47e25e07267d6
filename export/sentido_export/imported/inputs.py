"""How many tokens a model reads, and on which sides its program pads and cuts."""

from dataclasses import dataclass

from sentido_bundle import Padding

from sentido_export.errors import ExportError
from sentido_export.imported.architecture import Architecture, TextLayer
from sentido_export.imported.sides import Sides

_ON_THE_RIGHT = Padding.POST.value


@dataclass(frozen=True)
class GivenSides:
    """What was given of the sides; None for what was not.

    `needs_padding`: the model's answer depends on the side on which a text is padded.
    """

    padding: str | None
    truncating: str | None
    needs_padding: bool

    @property
    def to_try(self) -> tuple[str | None, str | None]:
        """Both sides, None for one that is to be found."""
        padding = None if self.needs_padding else Padding.POST.value
        return self.padding or padding, self.truncating

    def complete(self) -> Sides:
        """Return both. Raises ExportError naming those that are missing."""
        padding, truncating = self.to_try
        if padding and truncating:
            return Sides(padding, truncating)
        missing = [
            flag
            for flag, side in (("--padding", padding), ("--truncating", truncating))
            if not side
        ]
        why = (
            "the model reads padding as it reads words"
            if padding is None
            else "no file says where your program cuts long texts"
        )
        raise ExportError(
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} needed, pre or post:"
            f" {why}. See pad_sequences in your program, which takes pre for both where it is not"
            " told; or let --check find out"
        )


def refuse_several_inputs(architecture: Architecture, same_ids: bool) -> None:
    """Raise ExportError for a model of several inputs, unless all are to get the same ids."""
    names = [entry.name for entry in architecture.inputs]
    if len(names) > 1 and not same_ids:
        raise ExportError(
            f"the model has {len(names)} inputs ({', '.join(names):.200}): if your program gives"
            " the same ids to all of them, say so with --same-ids; other models of several inputs"
            " are not supported"
        )


def is_alone_of(layer: TextLayer, architecture: Architecture) -> bool:
    """Return whether neither a TextVectorization nor the model says how many ids a text has."""
    return layer.length is None and all(entry.length is None for entry in architecture.inputs)


def sides_of(
    layer: TextLayer | None,
    architecture: Architecture,
    padding: str | None,
    truncating: str | None,
    *,
    needs_padding: bool,
) -> GivenSides:
    """Return the sides that were given, or those of a TextVectorization. Raises ExportError."""
    if layer is None or (layer.length is None and not is_alone_of(layer, architecture)):
        return GivenSides(padding, truncating, needs_padding)
    for flag, side in (("--padding", padding), ("--truncating", truncating)):
        if side not in (None, _ON_THE_RIGHT):
            raise ExportError(
                f"{flag} {side}: a TextVectorization pads and cuts on the right: leave the flag out"
            )
    return GivenSides(_ON_THE_RIGHT, _ON_THE_RIGHT, needs_padding)


def length_of(
    architecture: Architecture, max_tokens: int | None, layer: TextLayer | None = None
) -> int:
    """Return the number of ids that the model reads. Raises ExportError if that is not known."""
    fixed = sorted({entry.length for entry in architecture.inputs if entry.length is not None})
    if layer is not None and layer.length is not None:
        if fixed not in ([], [layer.length]):
            raise ExportError(
                f"the TextVectorization {layer.name!r} gives {layer.length} ids"
                f" (output_sequence_length), but the model reads {fixed[0]}: is it the one of"
                " another model?"
            )
        fixed = [layer.length]
    if len(fixed) > 1:
        raise ExportError(
            f"the model's inputs have the lengths {', '.join(map(str, fixed))}: only inputs of one"
            " length are supported"
        )
    if fixed and max_tokens not in (None, *fixed):
        raise ExportError(
            f"--max-tokens {max_tokens}: the model reads {fixed[0]} ids, no other number: leave the"
            " flag out"
        )
    length = fixed[0] if fixed else max_tokens
    if length is None and layer is not None:
        raise ExportError(
            f"the TextVectorization {layer.name!r} has no output_sequence_length, so that it cuts"
            " no text: give the most tokens that a text may have with --max-tokens; what is longer"
            " is cut on the right"
        )
    if length is None:
        raise ExportError(
            "the model reads any number of ids: give the one that your program pads and cuts to"
            " (maxlen of pad_sequences) with --max-tokens"
        )
    return length
