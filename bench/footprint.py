"""What the client and the server cost before any work is done: disk, time to SERVING, memory.

    make footprint

Each is installed from its lock alone into an environment of its own; sizes are those of its
site-packages without pip. The server is started several times on the default bundle.
"""

import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

from servers import sentido

ROOT = Path(__file__).parent.parent
PARTS = {"client": ("proto", "client"), "server": ("proto", "bundle", "server")}
STARTS = 7


def main() -> None:
    """Measure and print one table."""
    with tempfile.TemporaryDirectory(prefix="sentido-footprint-") as folder:
        rows = []
        for part, distributions in PARTS.items():
            environment = Path(folder) / part
            install(environment, part, distributions)
            rows.append((f"{part}, installed alone (MB)", f"{size(environment) / 1e6:.0f}"))
        times, resident = zip(*[start(Path(folder) / "server") for _ in range(STARTS)], strict=True)
        rows.append(("server, process start to SERVING (s)", spread(times, "{:.2f}")))
        rows.append(("server, resident memory then (MB)", spread(resident, "{:.0f}")))
    for name, value in rows:
        print(f"{name:<40} {value}")


def install(environment: Path, part: str, distributions: tuple[str, ...]) -> None:
    """Install a part as a user would: its lock by hashes, then our own wheels."""
    print(f"installing the {part} ...", file=sys.stderr)
    venv.create(environment, with_pip=True)
    wheels = environment / "wheels"
    pip: list[str | Path] = ["-m", "pip", "--disable-pip-version-check", "--quiet"]
    build: list[str | Path] = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", wheels]
    folders = [ROOT / name for name in distributions]
    subprocess.run([sys.executable, *pip, *build, *folders], check=True)
    python = environment / "bin" / "python"
    lock = ROOT / "locks" / f"{part}.txt"
    subprocess.run([python, *pip, "install", "--require-hashes", "-r", lock], check=True)
    subprocess.run([python, *pip, "install", "--no-deps", *wheels.glob("*.whl")], check=True)


def size(environment: Path) -> int:
    """Give the bytes of an environment's packages, without pip and setuptools."""
    (packages,) = environment.glob("lib/python*/site-packages")
    return sum(
        path.stat().st_size
        for path in packages.rglob("*")
        if path.is_file()
        and not path.relative_to(packages).parts[0].startswith(("pip", "setuptools"))
    )


def start(environment: Path) -> tuple[float, float]:
    """Start a server and stop it; give the seconds to SERVING and the MB then resident."""
    began = time.perf_counter()
    with sentido(programs=environment / "bin") as server:
        return time.perf_counter() - began, server.resident()


def spread(values: tuple[float, ...], form: str) -> str:
    """Give the median with the least and the greatest."""
    low, middle, high = (form.format(f(values)) for f in (min, statistics.median, max))
    return f"{middle} ({low} to {high}, {len(values)} starts)"


if __name__ == "__main__":
    main()
