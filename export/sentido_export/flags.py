"""The flags of the command `sentido-export`, and which of them go together."""

import dataclasses
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any

from sentido_bundle import check_plain_name, settings
from sentido_bundle.command_line import Parser
from sentido_bundle.settings import declared, setting

from sentido_export.data import REVIEWS, SHIPPED, is_table
from sentido_export.imported.options import OwnModelOptions
from sentido_export.options import Options
from sentido_export.recipe import GROUP, RECIPES, Recipe, Teacher

_DESCRIPTION = """\
Train the classic Keras text classifier, Embedding -> LSTM -> Dense, and write it as a bundle
that sentido-server serves: ONNX graphs, vocabulary, preprocessing, and proof that ONNX Runtime
answers as Keras does."""

_EPILOG = """\
examples:
  sentido-export                                     the classic tutorial on 25,000 reviews
  sentido-export --name quick --limit 8000 --epochs 2 --max-tokens 100 --units 32 --dimensions 16
  sentido-export --data mine.csv --label-column sentiment --name mine --recipe best
  sentido-export --data aclImdb/train                a folder of .txt files per label
  sentido-export --from-keras model.h5 --tokenizer tokenizer.pickle --padding pre
                 --truncating pre --max-tokens 100 --out bundles/mine
                                                     a model that you have trained already
  sentido-export --from-keras model.h5 ... --data test.csv --label-column sentiment
                     ... and how good it is on texts that it was not trained on
  sentido-export --explain-embedding                 what an embedding is, in two sentences

The same --split-seed gives the same sample, split and vocabulary. With the same --seed, too, the
files of the bundle are the same bytes on one machine with one set of library versions, but for the
time in manifest.json, which SOURCE_DATE_EPOCH sets. Elsewhere the weights differ a little."""

_WITHOUT_TEACHER = {"hard_share": 1, "spans": 0, "prefix_weight": 0}  # what they are then
_OF_DATA = ("label_column", "label_columns", "renamed")
_OF_TABLES = ("text_column", "delimiter", "input_format")
_OF_BOTH = {field.name for field in dataclasses.fields(OwnModelOptions)}
_OF_BOTH |= {"int8"}  # no twin is made of a user's own model, whether it is asked for or not
_OF_TRAINING = {"recipe_name"} | {one.name for one in declared(Options) if one.name not in _OF_BOTH}


def _name(text: str) -> str:
    check_plain_name("name", text)
    return text


@dataclasses.dataclass(frozen=True)
class Command:
    """What the command is asked for besides the options of either export."""

    explain_embedding: bool = setting(
        False, "show on two sentences what an embedding layer does, and exit"
    )
    data: str | None = setting(
        None,
        "'reviews' (25,000 labelled IMDB reviews) or 'sentences' (8,530 short ones of others);"
        " a table that sentido-score reads, such as"
        " a .csv, .tsv, .jsonl or .parquet file, also .gz and .zst; or a folder with a folder of"
        " .txt files per label (default: reviews). With --from-keras the texts that the model is"
        " evaluated on, and without it there is no evaluation",
        once=True,
        metavar="SOURCE",
        group="data",
    )
    recipe_name: str = setting(
        "tutorial",
        "default: tutorial; best takes longer",
        flag_name="recipe",
        choices=tuple(RECIPES),
        group=GROUP,
    )
    out: Path | None = setting(
        None, "a new folder (default: bundles/NAME)", once=True, metavar="DIR", group="result"
    )
    link: Path | None = setting(
        None,
        "in the end make PATH a link to the new folder, or turn the one that is there: what a"
        " server with --bundle PATH loads when it is told to reload",
        metavar="PATH",
    )
    name: str | None = setting(None, "the model's name (default: after the data)", read=_name)


def parse(argv: Sequence[str] | None) -> dict[str, Any]:
    """Return the values of the settings. Exits with 2 for flags that do not go together."""
    parser = Parser(prog="sentido-export", description=_DESCRIPTION, epilog=_EPILOG)
    given = settings.parse(parser, argv, Command, Options, OwnModelOptions, notes=_in_recipes())
    values = settings.defaults(Command, Options) | given
    if values["explain_embedding"]:
        others = {one.name for one in declared(Command, Options, OwnModelOptions)}
        why = "is for an export, which --explain-embedding is none of"
        _refuse(parser, values, others - {"explain_embedding", "seed"}, why)
    if "model" not in values:
        own = [one.name for one in declared(OwnModelOptions)]
        _refuse(parser, values, own, "is for a model that is given by --from-keras")
        values["data"] = REVIEWS if values["data"] is None else values["data"]
        _refuse_idle(parser, values)
    else:
        _refuse(parser, values, _OF_TRAINING, "is for training, which --from-keras leaves out")
        if values["data"] is None:
            _refuse(parser, values, _OF_DATA, "is of --data, which was not given")
            if values.get("sample") is None:
                why = "is of --data or --sample, and neither was given"
                _refuse(parser, values, _OF_TABLES, why)
    return values


def _refuse_idle(parser: Parser, values: Mapping[str, Any]) -> None:
    """Exit with 2 for what would do nothing without another flag.

    What is given to turn something off that is off is no fault.
    """
    recipe = dataclasses.replace(RECIPES[values["recipe_name"]], **overrides(values))
    if recipe.teacher is Teacher.OFF:
        asked = [name for name, off in _WITHOUT_TEACHER.items() if values.get(name, off) != off]
        _refuse(parser, values, asked, "is for a teacher, and there is none: --teacher on")
    elif recipe.hard_share == 1 and not recipe.spans and not recipe.prefix_weight:
        parser.error(
            "--teacher: nothing is learned from its answers: lower --hard-share, or set --spans or"
            " --prefix-weight"
        )
    if values["templates"] is None and values.get("sentences"):
        _refuse(parser, values, ["sentences"], "is of --templates, which was not given")
    if not recipe.sentences:
        _refuse(parser, values, ["templates"], "makes no sentence: --sentences says how many")
    if not values["more_data"]:
        _refuse(parser, values, ["more_held_out"], "is of --more-data, which was not given")
    sources = (values["data"], *values["more_data"])
    if not any(is_table(source, values["input_format"]) for source in sources):
        _refuse(parser, values, (*_OF_TABLES, "label_column"), "is of a table, and no data is one")
    if all(source in SHIPPED for source in sources):
        _refuse(parser, values, ["normalize_labels"], "is for data of your own: --data")


def _refuse(parser: Parser, values: Mapping[str, Any], names: Container[str], why: str) -> None:
    """Exit with 2 if one of these settings was given, unless as it is by default."""
    for one in declared(Command, Options, OwnModelOptions):
        value = values.get(one.name, one.default)
        if one.name in names and value != one.default:
            parser.error(f"{one.flag_of(value)} {why}")


def overrides(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was given of a recipe."""
    return {one.name: values[one.name] for one in declared(Recipe) if one.name in values}


def _in_recipes() -> dict[str, str]:
    """Return what each setting of a recipe is in each of them."""
    return {
        one.name: ", ".join(f"{name}: {getattr(RECIPES[name], one.name)}" for name in RECIPES)
        for one in declared(Recipe)
    }
