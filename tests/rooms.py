"""Who imports whom within a package, and how large its parts are: `python tests/rooms.py`.

A floor is a module that imports only what is on lower ones; an arrow is an import of one module by
another of its package; both are read in the syntax trees of all modules, wherever they import.
"""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {
    f"sentido_{folder}": ROOT / folder / f"sentido_{folder}"
    for folder in ("bundle", "server", "client", "export", "score", "evaluate")
}


def modules(package: str) -> dict[str, Path]:
    """Return the modules of a package by their names within it."""
    root = PACKAGES[package]
    return {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
        for path in root.rglob("*.py")
        if path != root / "__init__.py"
    }


def imports(path: Path) -> Iterator[str]:
    """Return the full names of all that a module imports, wherever it does so."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(package: str) -> dict[str, set[str]]:
    """Return which modules of a package each of them imports."""
    of_package = modules(package)
    graph: dict[str, set[str]] = {name: set() for name in of_package}
    for name, path in of_package.items():
        for full in imports(path):
            inner = full.removeprefix(f"{package}.")
            for other in (inner, inner.rpartition(".")[0]):
                if other in of_package and inner != full and other != name:
                    graph[name].add(other)
                    break
    return graph


def floors(graph: dict[str, set[str]]) -> int:
    """Return on how many floors the modules are; 0 if they import each other in a circle."""
    height: dict[str, int] = {}
    try:
        for name in TopologicalSorter(graph).static_order():
            height[name] = 1 + max((height[other] for other in graph[name]), default=0)
    except CycleError:
        return 0
    return max(height.values())


def functions(path: Path) -> Iterator[tuple[int, str]]:
    """Return the functions of a module, each with its lines."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield (node.end_lineno or 0) - node.lineno + 1, node.name


def between_rooms(graph: dict[str, set[str]]) -> int:
    """Return how many rooms import how many others; modules on the ground floor are one room."""

    def room(name: str) -> str:
        return name.rpartition(".")[0].partition(".")[0] or (name if name in rooms else "")

    rooms = {name.partition(".")[0] for name in graph if "." in name}
    pairs = {(room(name), room(other)) for name, others in graph.items() for other in others}
    return len([pair for pair in pairs if pair[0] != pair[1]])


def row(package: str) -> str:
    """Return a row of the table."""
    graph, paths = within(package), modules(package)
    lines = {name: path.read_text(encoding="utf-8").count("\n") for name, path in paths.items()}
    length, function = max(
        (size, f"{name}.{function}")
        for name, path in paths.items()
        for size, function in functions(path)
    )
    module = max(lines, key=lambda name: lines[name])
    counts = len(paths) + 1, sum(lines.values()), floors(graph), sum(map(len, graph.values()))
    cells = [package, *map(str, counts), str(between_rooms(graph))]
    return f"| {' | '.join(cells)} | `{function}` {length} | `{module}` {lines[module]} |"


if __name__ == "__main__":
    titles = "package", "files", "lines", "floors", "arrows", "between rooms"
    print(f"| {' | '.join(titles)} | longest function, lines | longest module, lines |")
    for package in PACKAGES:
        print(row(package))
