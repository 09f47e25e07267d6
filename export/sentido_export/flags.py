"""The flags of the command `sentido-export`."""

import argparse
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from sentido_bundle import bounds, check_plain_name
from sentido_bundle.command_line import Parser
from sentido_score.formats.flags import add_table_flags

from sentido_export.data import REVIEWS
from sentido_export.imported.options import add_own_model_options
from sentido_export.recipe import MOST_SPANS, RECIPES, Teacher

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

_OF_TRAINING = (
    *("normalize_labels", "limit", "validation", "seed", "split_seed", "recipe", "class_weights"),
    *("words", "dimensions", "units", "epochs", "batch_size", "min_accuracy", "explain_embedding"),
    *("teacher", "hard_share", "spans", "word_dropout", "more_data", "more_held_out", "templates"),
    *("sentences", "calibrate"),
)
_OF_DATA = ("label_column", "label_columns", "rename")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments. Exits with 2 and one line for flags that do not go together."""
    parser, own = _parser()
    arguments = parser.parse_args(argv)
    if arguments.from_keras is None:
        wrong, why = own, "is for a model that is given by --from-keras"
    else:
        wrong, why = _OF_TRAINING, "is for training, which --from-keras leaves out"
    _refuse(parser, arguments, wrong, why)
    if arguments.data is None and arguments.from_keras is None:
        arguments.data = REVIEWS
    if arguments.data is None:
        _refuse(parser, arguments, _OF_DATA, "is of --data, which was not given")
    return arguments


def _refuse(
    parser: argparse.ArgumentParser, arguments: argparse.Namespace, names: Sequence[str], why: str
) -> None:
    """Exit with 2 if one of these flags was given."""
    for name in names:
        if getattr(arguments, name) != parser.get_default(name):
            flag = {"lower": "--no-lower"}.get(name, "--" + name.replace("_", "-"))
            parser.error(f"{flag} {why}")


def _parser() -> tuple[argparse.ArgumentParser, Sequence[str]]:
    """Return the parser, and the names of what is only for the user's own model."""
    parser = Parser(prog="sentido-export", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument(
        "--version", action="version", version=f"%(prog)s {version('sentido-export')}"
    )
    parser.add_argument(
        "--explain-embedding",
        action="store_true",
        help="show on two sentences what an embedding layer does, and exit",
    )

    source = parser.add_argument_group("data")
    source.add_argument(
        "--data",
        metavar="SOURCE",
        help="'reviews' (25,000 labelled IMDB reviews) or 'sentences' (8,530 short ones of others);"
        " a table that sentido-score reads, such as"
        " a .csv, .tsv, .jsonl or .parquet file, also .gz and .zst; or a folder with a folder of"
        " .txt files per label (default: reviews). With --from-keras the texts that the model is"
        " evaluated on, and without it there is no evaluation",
    )
    add_table_flags(source)
    source.add_argument("--label-column", default="label", metavar="NAME", help="default: label")
    source.add_argument(
        "--normalize-labels",
        action="store_true",
        help="make labels that differ in case or spaces only one, by the commonest spelling, and"
        " leave out texts whose label is missing (empty, null, NaN, N/A and what else pandas reads"
        " so)",
    )
    source.add_argument(
        "--cleaning",
        type=Path,
        metavar="FILE",
        help="steps that each text takes before its words are looked for, as a JSON list; the"
        " bundle keeps them, and takes them wherever it reads a text (docs/your-own-model.md)",
    )
    source.add_argument(
        "--cleaned-by-caller",
        action="store_true",
        help="record that texts must arrive cleaned, as those were that the model learned from",
    )
    source.add_argument(
        "--limit",
        type=_whole(2),
        metavar="N",
        help="use N texts, drawn at random, balanced by label",
    )
    source.add_argument(
        "--validation",
        type=_share(open_ends=True),
        default=0.1,
        metavar="SHARE",
        help="hold out this share of the texts to pick the best epoch, and as many again for the"
        " reported figures (default: 0.1)",
    )
    source.add_argument(
        "--seed",
        type=_whole(0, 2**32 - 1),
        default=0,
        metavar="N",
        help="of the first weights and of what training does at random (default: 0)",
    )
    source.add_argument(
        "--split-seed",
        type=_whole(0, 2**32 - 1),
        default=0,
        metavar="N",
        help="of what is drawn by --limit and held out (default: 0)",
    )

    model = parser.add_argument_group("model and training (a flag overrides the recipe)")
    model.add_argument(
        "--recipe", choices=RECIPES, default="tutorial", help="default: tutorial; best takes longer"
    )
    model.add_argument(
        "--class-weights",
        choices=("balanced", "none"),
        default="none",
        help="balanced: let each label count alike in training, however many texts it has"
        " (default: none)",
    )
    for flag, least, most, text in (
        ("words", 2, bounds.VOCABULARY, "ids in the vocabulary, padding included"),
        (
            "max_tokens",
            1,
            bounds.MAX_TOKENS,
            "tokens of a text that the model reads, the last",
        ),
        ("dimensions", 1, bounds.VECTOR, "elements of a word's vector"),
        ("units", 1, bounds.VECTOR, "of the LSTM"),
        ("epochs", 1, 10_000, "passes over the training texts"),
        ("batch_size", 1, 100_000, "texts a training step"),
    ):
        model.add_argument(
            "--" + flag.replace("_", "-"),
            type=_whole(least, most),
            metavar="N",
            help=f"{text} ({_in_recipes(flag)})",
        )

    _add_parts_of_a_recipe(model)
    _add_more_texts(source)

    result = parser.add_argument_group("result")
    result.add_argument(
        "--out", type=Path, metavar="DIR", help="a new folder (default: bundles/NAME)"
    )
    result.add_argument(
        "--link",
        type=Path,
        metavar="PATH",
        help="in the end make PATH a link to the new folder, or turn the one that is there: what a"
        " server with --bundle PATH loads when it is told to reload",
    )
    result.add_argument(
        "--name", type=_plain_name("name"), help="the model's name (default: after the data)"
    )
    result.add_argument(
        "--model-version",
        type=_plain_name("version"),
        default="1",
        metavar="VERSION",
        help="default: 1",
    )
    result.add_argument(
        "--min-accuracy",
        type=_share(open_ends=False),
        default=0.0,
        metavar="SHARE",
        help="write no bundle below this accuracy on the held-out texts (default: 0)",
    )
    result.add_argument(
        "--no-int8",
        dest="int8",
        action="store_false",
        help="leave out the int8 twin, model.int8.onnx, which sentido-server --precision int8 runs",
    )
    return parser, add_own_model_options(parser)


def _add_more_texts(source: argparse._ArgumentGroup) -> None:
    source.add_argument(
        "--more-data",
        action="append",
        default=[],
        metavar="SOURCE",
        help="train on this source, too, which has the same columns and labels; again for more. Its"
        " figures on what is held out of it are recorded beside those of --data",
    )
    source.add_argument(
        "--more-held-out",
        type=_share(open_ends=True),
        metavar="SHARE",
        help="of each --more-data (default: as --validation)",
    )
    source.add_argument(
        "--templates",
        type=Path,
        metavar="FILE",
        help="train on sentences that are made from templates, too: a file in the form of the"
        " checks of sentido-evaluate, with texts and what is expected of them",
    )


def _add_parts_of_a_recipe(model: argparse._ArgumentGroup) -> None:
    model.add_argument(
        "--teacher",
        choices=[str(teacher) for teacher in Teacher],
        help="learn from the answers of linear models of word pairs and triples beside the labels;"
        " auto: train with and without, keep what is better on the validation texts"
        f" ({_in_recipes('teacher')})",
    )
    model.add_argument(
        "--hard-share",
        type=_share(open_ends=False),
        metavar="SHARE",
        help="of the label in what is learned; the rest is the teacher's answer"
        f" ({_in_recipes('hard_share')})",
    )
    model.add_argument(
        "--spans",
        type=_whole(0, MOST_SPANS),
        metavar="N",
        help="random parts of each long text per epoch, which the teacher labels"
        f" ({_in_recipes('spans')})",
    )
    model.add_argument(
        "--word-dropout",
        type=_share(open_ends=False),
        metavar="SHARE",
        help="leave out this share of the words of each long text, others in every epoch, but no"
        f" negators ({_in_recipes('word_dropout')})",
    )
    model.add_argument(
        "--sentences",
        type=_whole(0, 10_000_000),
        metavar="N",
        help=f"made from --templates per epoch ({_in_recipes('sentences')})",
    )
    model.add_argument(
        "--calibrate",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="fit a temperature on the validation texts and fold it into the last layer, so that"
        f" probabilities can be believed ({_in_recipes('calibrate')})",
    )


def _in_recipes(field: str) -> str:
    return ", ".join(f"{name}: {getattr(recipe, field)}" for name, recipe in RECIPES.items())


def _whole(least: int, most: int = 2**31 - 1) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(
                f"{text!r:.40} is not a whole number from {least} to {most}"
            )
        return value

    return parse


def _share(*, open_ends: bool) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not (0 < value < 0.5 if open_ends else 0 <= value <= 1):
            limits = "between 0 and 0.5" if open_ends else "from 0 to 1"
            raise argparse.ArgumentTypeError(f"{text!r} is not a number {limits}")
        return value

    return parse


def _plain_name(what: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        try:
            check_plain_name(what, text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error
        return text

    return parse
