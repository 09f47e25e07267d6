"""The reviews that the default bundle was measured on, written by the program of bench/."""

import subprocess
import sys
from pathlib import Path

from conftest import ROOT
from sentido_export import data


def held_out(folder: Path) -> data.Dataset:
    """Return them. The program fails unless the bundle is right as often as its manifest says."""
    path = folder / "held-out.csv"
    subprocess.run([sys.executable, ROOT / "bench" / "held_out.py", path], check=True, timeout=120)
    return data.load(str(path))
