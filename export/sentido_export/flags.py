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
from sentido_export.recipe import RECIPES

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
        help="'reviews' (25,000 labelled IMDB reviews); a table that sentido-score reads, such as"
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
        values = ", ".join(f"{name}: {getattr(recipe, flag)}" for name, recipe in RECIPES.items())
        model.add_argument(
            "--" + flag.replace("_", "-"),
            type=_whole(least, most),
            metavar="N",
            help=f"{text} ({values})",
        )

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
