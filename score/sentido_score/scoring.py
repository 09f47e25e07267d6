"""The two functions that most programs need: a file into a file, and a source into batches."""

import os
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa
from sentido_bundle import default_bundle

from sentido_score.callbacks import Say, quiet
from sentido_score.engines.cluster import look
from sentido_score.engines.engine import Engine
from sentido_score.engines.local import LocalEngine
from sentido_score.errors import ScoreError
from sentido_score.files.locations import STANDARD
from sentido_score.formats.opening import Source, open_source
from sentido_score.options import Options, Servers
from sentido_score.output.report import Report
from sentido_score.output.results import Watch
from sentido_score.output.target import Target
from sentido_score.run import run
from sentido_score.scorer import batches

ENGINES = ("local", "remote", "ray")


def score(
    source: Source,
    bundle: str | Path | None = None,
    *,
    out: str | os.PathLike[str],
    options: Options | None = None,
    engine: str = "local",
    servers: Servers | None = None,
    ray_address: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    max_errors: int | None = None,
    make_folders: bool = False,
    watch: Watch = quiet,
    say: Say = quiet,
) -> Report:
    """Score files into a file or a folder.

    `source`: paths, URIs, globs or folders, "-" for standard input. `bundle`: a folder, None for
    the default one. `engine`: "local", "remote" (through `servers`) or "ray" (`ray_address`, None
    for this machine). `make_folders`: make those that the output lies in. `watch` is told of every
    few thousand rows, `say` what a caller should know.

    Raises ScoreError; what was finished by then is taken up again with `resume`.
    """
    options = options or Options()
    if resume and overwrite:
        raise ScoreError("--resume goes on with what --overwrite would throw away: choose one")
    if max_errors is not None and max_errors < 0:
        raise ScoreError(f"max_errors is {max_errors}, it must be 0 or more")
    if os.fspath(out) == STANDARD and (resume or overwrite):
        flag = "--resume" if resume else "--overwrite"
        raise ScoreError(
            f"standard output (--out -) keeps nothing: {flag} needs a file or a folder"
        )
    reader = open_source(source, options, say)
    if engine == "ray" and any(file.place is None for file in reader.files):
        raise ScoreError("standard input (-) cannot be read by a cluster: name files")
    target = Target.open(out, reader, options)
    if not make_folders:
        target.refuse_missing_folder()
    with closing(
        open_engine(
            engine,
            bundle,
            options,
            servers=servers,
            ray_address=ray_address,
            say=say,
        )
    ) as opened:
        return run(
            reader,
            opened,
            target,
            options,
            resume=resume,
            overwrite=overwrite,
            max_errors=max_errors,
            watch=watch,
            say=say,
        )


def score_batches(
    source: Source,
    bundle: str | Path | None = None,
    *,
    options: Options | None = None,
    engine: str = "local",
    **places: Any,
) -> Iterator[pa.RecordBatch]:
    """Score a source as it is read: give its rows with the results, in order, as record batches.

    The arguments are those of `score`. Raises ScoreError.
    """
    options = options or Options()
    with closing(open_engine(engine, bundle, options, **places)) as opened:
        yield from batches(source, opened, options, places.get("say", quiet))


def open_engine(
    name: str,
    bundle: str | Path | None,
    options: Options,
    *,
    servers: Servers | None = None,
    ray_address: str | None = None,
    say: Say = quiet,
) -> Engine:
    """Make an engine. Raises ScoreError if its package is not installed."""
    folder = default_bundle() if bundle is None else bundle
    if name == "local":
        return LocalEngine(folder, options)
    if name not in ENGINES:
        raise ScoreError(f"engine is {name!r}, one of {', '.join(ENGINES)} is needed")
    needed = {"remote": ("sentido_client", "grpc"), "ray": ("ray",)}[name]
    try:
        if name == "remote":
            from sentido_score.engines.remote import RemoteEngine

            return RemoteEngine(servers or Servers(), options, say)
        if find_spec("ray") is not None:  # which takes seconds to import
            look(ray_address)
        from sentido_score.engines.ray_data import RayEngine

        return RayEngine(folder, options, ray_address)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in needed:
            raise
        folders = "./proto ./client ./bundle" if name == "remote" else "./bundle"
        raise ScoreError(
            f"the engine {name} needs more packages:"
            f" run pip install {folders} './score[{name}]' in Sentido's folder"
        ) from error
