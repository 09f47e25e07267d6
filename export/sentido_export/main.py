"""The command `sentido-export`: flags, and errors as one sentence."""

import argparse
import dataclasses
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from sentido_bundle import Bundle, BundleError, bounds, check_plain_name
from sentido_bundle.command_line import Parser, flushed
from sentido_score.options import FORMATS, delimiter

from sentido_export.data import REVIEWS
from sentido_export.errors import ExportError
from sentido_export.export import Options, export
from sentido_export.link import check_link, set_link
from sentido_export.machine import settle_keras
from sentido_export.recipe import RECIPES, Recipe

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
  sentido-export --explain-embedding                 what an embedding is, in two sentences

The same seed gives the same sample, split and vocabulary. The trained weights are also the
same on one machine with one set of library versions, and differ a little elsewhere."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    arguments = _parser().parse_args(argv)
    settle_keras()  # before it is imported, which is why that happens below
    try:
        if arguments.explain_embedding:
            from sentido_export.explain import explain_embedding

            explain_embedding(arguments.seed)
        else:
            _export(arguments)
        return 0 if flushed() else 1
    except BrokenPipeError:  # whoever read what is printed has gone
        flushed()
        return 1
    except (ExportError, BundleError) as error:
        print(f"sentido-export: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"sentido-export: {where}{error.strerror or error}", file=sys.stderr)
        return 1
    except MemoryError as error:
        print(f"sentido-export: not enough memory: {error}", file=sys.stderr)
        return 1


def _export(arguments: argparse.Namespace) -> None:
    options = _options(arguments)
    if arguments.link:
        check_link(arguments.link)
    bundle = export(options)
    if arguments.link:
        set_link(arguments.link, options.out)
    _print_result(bundle, options)


def _print_result(bundle: Bundle, options: Options) -> None:
    manifest = bundle.manifest
    metrics, parity = manifest.metrics, manifest.parity
    size = sum(facts.bytes for facts in manifest.files.values())
    rows = {
        "accuracy": f"{metrics['accuracy']:.4f} ({metrics['accuracy_low']:.4f} to"
        f" {metrics['accuracy_high']:.4f}) on {metrics['texts']:,.0f} held-out texts",
        "loss": f"{metrics['loss']:.4f}",
        "labels": ", ".join(manifest.labels),
        "vocabulary": f"{manifest.vocabulary_size:,} ids",
        "parity": f"Keras and ONNX differ by {parity.largest_difference:.1e} at most,"
        f" over {parity.texts:,} texts",
        "int8": "left out",
        "graph": "one LSTM node, no Loop",
        "size": f"{size / 1e6:.2f} MB",
        "digest": bundle.digest,
    }
    if int8 := manifest.int8:
        rows["int8"] = (
            f"accuracy {int8.accuracy:.4f}, {abs(int8.accuracy_loss):.4f}"
            f" {'lost' if int8.accuracy_loss >= 0 else 'gained'}; probabilities differ from fp32's"
            f" by {int8.largest_difference_probabilities:.1e} at most, hidden states by"
            f" {int8.largest_difference_hidden or 0:.1e}"
        )
    print(f"\nBundle {manifest.name} {manifest.version}")
    for name, value in rows.items():
        print(f"  {name:<11} {value}")
    print(f"Written to {options.out}. Serve it: sentido-server --bundle {options.out}")


def _options(arguments: argparse.Namespace) -> Options:
    recipe = RECIPES[arguments.recipe]
    fields = {field.name for field in dataclasses.fields(Recipe)}
    given = {k: v for k, v in vars(arguments).items() if k in fields and v is not None}
    name = arguments.name or _default_name(arguments.data)
    return Options(
        data=arguments.data,
        text_column=arguments.text_column,
        label_column=arguments.label_column,
        out=arguments.out or Path("bundles") / name,
        name=name,
        model_version=arguments.model_version,
        recipe_name=arguments.recipe,
        recipe=dataclasses.replace(recipe, **given),
        limit=arguments.limit,
        validation=arguments.validation,
        min_accuracy=arguments.min_accuracy,
        int8=arguments.int8,
        seed=arguments.seed,
        delimiter=arguments.delimiter,
        input_format=arguments.input_format,
        normalize_labels=arguments.normalize_labels,
    )


def _default_name(source: str) -> str:
    name = "imdb" if source == REVIEWS else Path(source).absolute().stem
    try:
        check_plain_name("name", name)
    except ValueError as error:
        raise ExportError(f"{error}: choose one with --name") from error
    return name


def _parser() -> argparse.ArgumentParser:
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
        default=REVIEWS,
        metavar="SOURCE",
        help="'reviews' (25,000 labelled IMDB reviews); a table that sentido-score reads, such as"
        " a .csv, .tsv, .jsonl or .parquet file, also .gz and .zst; or a folder with a folder of"
        " .txt files per label (default: reviews)",
    )
    source.add_argument("--text-column", default="text", metavar="NAME", help="default: text")
    source.add_argument("--label-column", default="label", metavar="NAME", help="default: label")
    source.add_argument(
        "--delimiter", type=delimiter, default=",", metavar="C", help="of CSV; default: a comma"
    )
    source.add_argument(
        "--input-format", choices=FORMATS[:-1], help="of a table (default: by its name)"
    )
    source.add_argument(
        "--normalize-labels",
        action="store_true",
        help="make labels that differ in case or spaces only one, by the commonest spelling, and"
        " leave out texts whose label is missing (empty, null, NaN, N/A and what else pandas reads"
        " so)",
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
        help="of every random choice (default: 0)",
    )

    model = parser.add_argument_group("model and training (a flag overrides the recipe)")
    model.add_argument(
        "--recipe", choices=RECIPES, default="tutorial", help="default: tutorial; best takes longer"
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
    return parser


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
