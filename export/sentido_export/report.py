"""The page beside a bundle: how good the model is, for people to look at."""

from pathlib import Path

from sentido_bundle import Bundle
from sentido_evaluate import render_page
from sentido_evaluate.page.writing import write_page
from sentido_evaluate.stored import read_stored

from sentido_export.errors import ExportError


def report_of(out: Path) -> Path:
    """Return where the page of an exported bundle is."""
    return Path(f"{out}.report.html")


def check_report(out: Path) -> None:
    """Raise ExportError if the page could not be written: before anything is computed."""
    if report_of(out).is_dir():
        raise ExportError(f"{report_of(out)} is a folder, a page is to be written there")


def write_report(out: Path, bundle: Bundle) -> None:
    """Write the page of a bundle that brings an evaluation, and say what that gives to note."""
    evaluation = read_stored(bundle)
    for note in evaluation["notes"]:
        print(f"Note: {note}")
    write_page(report_of(out), render_page(evaluation))
