"""The command `sentido-export`: what the flags ask for, and errors as one sentence."""

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sentido_bundle import Bundle, BundleError, CleaningError, check_plain_name
from sentido_bundle.command_line import flushed
from sentido_bundle.errors import reason
from sentido_bundle.settings import made

from sentido_export.data import REVIEWS
from sentido_export.errors import ExportError
from sentido_export.export import export
from sentido_export.flags import Command, overrides, parse
from sentido_export.imported.options import OwnModelOptions
from sentido_export.link import check_link, set_link
from sentido_export.machine import created, settle_keras
from sentido_export.options import Options
from sentido_export.recipe import RECIPES
from sentido_export.report import report_of


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    values = parse(argv)
    command = made(Command, values)
    if "model" not in values:
        settle_keras()  # before it is imported, which is why that happens below
    try:
        if command.explain_embedding:
            from sentido_export.explain import explain_embedding

            explain_embedding(values["seed"])
        else:
            _export(command, values)
        return 0 if flushed() else 1
    except BrokenPipeError:  # whoever read what is printed has gone
        flushed()
        return 1
    except (ExportError, BundleError, CleaningError) as error:
        print(f"sentido-export: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"sentido-export: {where}{reason(error)}", file=sys.stderr)
        return 1
    except MemoryError as error:
        print(f"sentido-export: not enough memory: {error}", file=sys.stderr)
        return 1


def _export(command: Command, values: Mapping[str, Any]) -> None:
    name = command.name or _default_name(values)
    out = command.out or Path("bundles") / name
    if command.link:
        check_link(command.link, out)
    created()  # what is wrong with it is said now
    if "model" not in values:
        recipe = dataclasses.replace(RECIPES[command.recipe_name], **overrides(values))
        bundle = export(made(Options, values, out=out, name=name, recipe=recipe))
    else:
        from sentido_export.imported.export import export_own_model

        bundle = export_own_model(OwnModelOptions.of(values, out, name))
    if command.link:
        set_link(command.link, out)
    _print_result(bundle, out)


def _print_result(bundle: Bundle, out: Path) -> None:
    manifest, inputs = bundle.manifest, bundle.manifest.inputs
    metrics, parity = manifest.metrics, manifest.parity
    size = sum(facts.bytes for facts in manifest.files.values())
    measured = (
        {
            "accuracy": f"{metrics['accuracy']:.4f} ({metrics['accuracy_low']:.4f} to"
            f" {metrics['accuracy_high']:.4f}) on {metrics['texts']:,.0f} held-out texts",
            "loss": f"{metrics['loss']:.4f}",
        }
        if metrics
        else {}
    )
    if (found := manifest.evaluation) and not metrics:
        measured["accuracy"] = f"{found.accuracy:.4f} on {found.texts:,} labelled texts"
    if found:
        measured = {"macro F1": f"{found.macro_f1:.4f}"} | measured
    padded = f", padded {inputs.padding}" if inputs.padding else ", with their lengths"
    rows = measured | {
        "labels": ", ".join(manifest.labels),
        "vocabulary": f"{manifest.vocabulary_size:,} ids",
        "inputs": f"{inputs.length:,} ids at most, truncated {inputs.truncation}{padded}",
        **({"cleaning": _cleaning(bundle)} if bundle.tokenizer.cleaner else {}),
        "parity": f"Keras and ONNX differ by {parity.largest_difference:.1e} at most,"
        f" over {parity.texts:,} texts",
        "int8": "left out",
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
    if bundle.manifest.evaluation is not None:
        print(f"How good it is, to look at: {report_of(out)}")
    print(f"Written to {out}. Serve it: sentido-server --bundle {out}")


def _cleaning(bundle: Bundle) -> str:
    cleaner = bundle.tokenizer.cleaner
    assert cleaner is not None
    steps = f"{len(cleaner)} steps before the tokenizer"
    slow = cleaner.engines.count("automaton")
    return steps + (f"; {slow} patterns are not run by re, but several times slower" * bool(slow))


def _default_name(values: Mapping[str, Any]) -> str:
    source = str(values.get("model", values["data"]))
    name = "imdb" if source == REVIEWS else Path(source).absolute().stem
    try:
        check_plain_name("name", name)
    except ValueError as error:
        raise ExportError(f"{error}: choose one with --name") from error
    return name
