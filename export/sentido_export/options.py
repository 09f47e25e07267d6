"""What an export of a model that is trained here is asked for."""

from dataclasses import dataclass
from pathlib import Path

from sentido_bundle import check_plain_name
from sentido_bundle.settings import like, setting
from sentido_evaluate import Asked, Columns

from sentido_export.recipe import GROUP, Recipe


def _version(text: str) -> str:
    check_plain_name("version", text)
    return text


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to export, and where to."""

    data: str
    text_column: str = like(Columns, "text", group="data")
    delimiter: str = like(Asked, "delimiter")
    input_format: str | None = like(Asked, "input_format")
    label_column: str = like(Columns, "label", text="")
    normalize_labels: bool = setting(
        False,
        "make labels that differ in case or spaces only one, by the commonest spelling, and leave"
        " out texts whose label is missing (empty, null, NaN, N/A and what else pandas reads so)",
    )
    cleaning: Path | None = setting(
        None,
        "steps that each text takes before its words are looked for, as a JSON list; the bundle"
        " keeps them, and takes them wherever it reads a text (docs/your-own-model.md)",
        metavar="FILE",
    )
    cleaned_by_caller: bool = setting(
        False,
        "record that texts must arrive cleaned, as those were that the model learned from",
    )
    limit: int | None = setting(None, "use N texts, drawn at random, balanced by label", least=2)
    validation: float = setting(
        0.1,
        "hold out this share of the texts to pick the best epoch, and as many again for the"
        " reported figures",
        most=0.5,
        open_ends=True,
        metavar="SHARE",
    )
    seed: int = setting(
        0, "of the first weights and of what training does at random", most=2**32 - 1
    )
    split_seed: int = setting(0, "of what is drawn by --limit and held out", most=2**32 - 1)
    more_data: tuple[str, ...] = setting(
        (),
        "train on this source, too, which has the same columns and labels; again for more. Its"
        " figures on what is held out of it are recorded beside those of --data",
        metavar="SOURCE",
    )
    more_held_out: float | None = setting(
        None,
        "of each --more-data (default: as --validation)",
        most=0.5,
        open_ends=True,
        metavar="SHARE",
    )
    templates: Path | None = setting(
        None,
        "train on sentences that are made from templates, too: a file in the form of the checks of"
        " sentido-evaluate, with texts and what is expected of them",
        metavar="FILE",
    )
    recipe_name: str
    class_weights: str = setting(
        "none",
        "balanced: let each label count alike in training, however many texts it has",
        choices=("balanced", "none"),
        group=GROUP,
    )
    recipe: Recipe
    out: Path
    name: str
    model_version: str = setting("1", read=_version, group="result")
    min_accuracy: float = setting(
        0,
        "write no bundle below this accuracy on the held-out texts",
        most=1,
        metavar="SHARE",
    )
    int8: bool = setting(
        True,
        "leave out the int8 twin, model.int8.onnx, which sentido-server --precision int8 runs",
    )
