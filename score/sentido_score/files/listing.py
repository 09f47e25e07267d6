"""What folders and globs hold: the files that are read, and the others, by the reason why not.

Folders of this machine are walked here, so that links lead nowhere twice and a name that is not
UTF-8 is met as one. Object stores list themselves.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from pyarrow import fs
from sentido_bundle.fields import is_utf8

from sentido_score.errors import ScoreError
from sentido_score.files.names import quoted, refused_name, shown
from sentido_score.files.work_folders import REPORT, is_report, without_unfinished

_UNKNOWN = "their names tell no format"
_HIDDEN = "their names, or those of their folders, begin with _ or ."
_UNFINISHED = "runs that have not finished wrote them"
_REPORT = "they are reports of sentido-score"
_NO_FILE = "they are pipes, devices or links that lead nowhere"


@dataclass
class Listing:
    """The files that are read, in the order of their names, and the paths of the others."""

    files: list[fs.FileInfo] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)  # by the reason

    def leave_out(self, reason: str, path: str) -> None:
        """Take down a file that is not read."""
        self.left_out.setdefault(reason, []).append(path)

    def leaves_out(self, path: str, folder: str, is_known: Callable[[str], bool]) -> bool:
        """Take down a file of a folder that is not read because of its name."""
        if re.search(r"(^|/)[._]", path[len(folder.rstrip("/")) + 1 :]):
            self.leave_out(_HIDDEN, path)
        elif not is_known(path):
            self.leave_out(_UNKNOWN, path)
        else:
            return False
        return True

    def sentences(self, folder: str) -> Iterator[str]:
        """Say how many files are not read, why, and which."""
        for reason, paths in self.left_out.items():
            names = [path.removeprefix(f"{folder.rstrip('/')}/") for path in sorted(paths)]
            count = "1 file is" if len(names) == 1 else f"{len(names):,} files are"
            hint = " (--input-format reads them)" if reason == _UNKNOWN else ""
            yield f"{shown(folder)}: {count} not read, since {reason}{hint}: {quoted(names, 3)}"


def in_folder(system: fs.FileSystem, folder: str, is_known: Callable[[str], bool]) -> Listing:
    """List what a folder holds, with all below it. `is_known` tells the names that are read.

    Raises ScoreError for a file to be read whose name is not UTF-8.
    """
    listing = Listing()
    infos, others = _everything(system, folder)
    for path in others:
        if not listing.leaves_out(path, folder, is_known):
            raise refused_name(path)
    for info in _finished(system, infos, listing):
        if not listing.leaves_out(info.path, folder, is_known):
            _take(system, info, listing)
    _refuse_mixture(system, infos, listing)
    return listing


def matching(
    system: fs.FileSystem, pattern: str, is_known: Callable[[str], bool], above: str = ""
) -> Listing:
    """List the files that match a glob, and what is in the folders that match it.

    `above`: the working folder's path that the pattern begins with, which is no glob. Raises
    ScoreError for a glob that is none, and as `in_folder` does.
    """
    listing, wanted = Listing(), _expression(pattern, above)
    infos, others = _everything(system, root(pattern, above))
    for path in others:
        if wanted.fullmatch(path):
            raise refused_name(path)
    folders = {str(info.path) for info in infos if _is_folder(info) and wanted.fullmatch(info.path)}
    for info in _finished(system, infos, listing):
        if wanted.fullmatch(info.path):
            _take(system, info, listing)
            continue
        folder = _outermost(info.path, folders)
        if folder is not None and not listing.leaves_out(info.path, folder, is_known):
            _take(system, info, listing)
    _refuse_mixture(system, infos, listing)
    return listing


def root(pattern: str, above: str = "") -> str:
    """Return the folder in which a glob begins; see `matching`."""
    return above + re.split(r"(?:^|/)(?=[^/]*[*?\[])", pattern[len(above) :], maxsplit=1)[0]


def _take(system: fs.FileSystem, info: fs.FileInfo, listing: Listing) -> None:
    """Read a file that may be read by its name, unless it is something else."""
    if info.type != fs.FileType.File:
        listing.leave_out(_NO_FILE, info.path)
    elif is_report(system, info.path):
        listing.leave_out(_REPORT, info.path)
    else:
        listing.files.append(info)


def _finished(
    system: fs.FileSystem, infos: Iterable[fs.FileInfo], listing: Listing
) -> list[fs.FileInfo]:
    """Return the files that no unfinished run wrote."""
    files = [info for info in infos if not _is_folder(info)]
    finished = without_unfinished(system, files)
    kept = {info.path for info in finished}
    for info in files:
        if info.path not in kept:
            listing.leave_out(_UNFINISHED, info.path)
    return finished


def _is_folder(info: fs.FileInfo) -> bool:
    return bool(info.type == fs.FileType.Directory)


def _outermost(path: str, folders: set[str]) -> str | None:
    """Return which of some folders a file lies in, the one nearest to the root."""
    if not folders:
        return None
    parts = path.split("/")
    above = ("/".join(parts[:count]) for count in range(1, len(parts)))
    return next((folder for folder in above if folder in folders), None)


def _refuse_mixture(system: fs.FileSystem, infos: Iterable[fs.FileInfo], listing: Listing) -> None:
    """Raise ScoreError for outputs of ours among other files: their rows would come out twice."""
    files = {str(info.path) for info in infos if info.type == fs.FileType.File}
    reported = {path.removesuffix(REPORT) for path in files if path.endswith(REPORT)}
    outputs, others = set[str](), []
    for info in listing.files:
        path = str(info.path)
        output = path if path in reported else _outermost(path, reported)
        if output is None:
            others.append(path)
        else:
            outputs.add(output)
    for output in sorted(outputs) if others else ():
        if is_report(system, f"{output}{REPORT}"):
            raise ScoreError(
                f"{shown(output)}: is an output of sentido-score, beside files that are not, such"
                f" as {shown(others[0])}: name the files that are meant, or move the output away"
            )


def _everything(system: fs.FileSystem, folder: str) -> tuple[list[fs.FileInfo], list[str]]:
    """List what is below a folder, by path, and the paths that pyarrow opens nowhere."""
    others: list[str] = []
    if isinstance(system, fs.LocalFileSystem):
        paths = list(_walk(folder))
        others = [path for path in paths if not is_utf8(path)]
        infos = system.get_file_info([path for path in paths if is_utf8(path)])
    else:
        infos = system.get_file_info(fs.FileSelector(folder, recursive=True, allow_not_found=True))
    return sorted(infos, key=lambda info: str(info.path)), others


def _walk(folder: str) -> Iterator[str]:
    """Find the paths below a folder, each folder once: by its own name before by a link."""
    links, visited = [folder], set[tuple[int, int]]()
    while links:
        for at, folders, names in os.walk(links.pop(0), followlinks=True, onerror=_fail):
            found = os.stat(at)
            if (found.st_dev, found.st_ino) in visited:
                folders.clear()
                continue
            visited.add((found.st_dev, found.st_ino))
            linked = {name for name in folders if os.path.islink(os.path.join(at, name))}
            links += sorted(os.path.join(at, name) for name in linked)
            folders[:] = [name for name in folders if name not in linked]
            yield from (os.path.join(at, name) for name in (*folders, *linked, *names))


def _fail(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _expression(pattern: str, above: str) -> "re.Pattern[str]":
    """Turn a glob into a regular expression: ** any folders, * and ? within a name, [abc].

    As in a shell, none of them stands for the dot that a name begins with. ** passes over folders
    such as _temporary, too, which the listing of a folder leaves out.
    """
    known = {"**/": r"(?:[^/._][^/]*/)*", "*": "[^/]*", "?": "[^/]"}
    expression, before = re.escape(above), "/"
    for part in re.split(r"(\*\*/|\*|\?|\[[^\]]+\])", pattern[len(above) :]):
        if before.endswith("/") and part[:1] in ("*", "?", "[") and part != "**/":
            expression += r"(?!\.)"
        expression += known.get(part) or (_range(part) if part[:1] == "[" else re.escape(part))
        before = part or before
    try:
        return re.compile(expression)
    except re.error as error:
        raise ScoreError(f"{shown(pattern)}: is not a glob: {error}") from error


def _range(part: str) -> str:
    """Turn [abc], [a-c] or [!a] of a glob into that of a regular expression."""
    inner = part[1:-1]
    sign = "^" if inner[0] in "!^" else ""
    escaped = re.sub(r"([\\\[\]&~|^])", r"\\\1", inner[len(sign) :])
    return f"[{sign}{escaped}]" if escaped else re.escape(part)
