"""Where the server's settings come from: flag, else variable, else file, else default.

It knows no setting, only what `sentido_bundle.settings` declares: from a field's name come
`--max-texts`, `SENTIDO_MAX_TEXTS` and `max_texts` in TOML.
"""

import argparse
import difflib
import io
import json
import os
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from sentido_bundle import settings
from sentido_bundle.command_line import flushed
from sentido_bundle.errors import reason
from sentido_bundle.fields import is_utf8
from sentido_bundle.settings import Given, Setting, SettingError

from sentido_server.variables import is_known_elsewhere, mistyped

_CONFIG_VARIABLE = "SENTIDO_CONFIG"
_Config = TypeVar("_Config")


def load(
    config: type[_Config],
    parser: argparse.ArgumentParser,
    argv: Sequence[str],
    environ: Mapping[str, str],
) -> _Config:
    """Read the settings, and in its field `given_by` what gave those that have no default.

    Exits with 2 for a bad one, with 0 after printing them if asked to.
    """
    declared = list(settings.declared(config))
    parser.add_argument("--config", metavar="FILE", help="read settings from a TOML file")
    parser.add_argument(
        "--print-config", action="store_true", help="print all settings as such a file, and exit"
    )
    settings.add_flags(parser, declared, both_ways=True)
    flags = vars(parser.parse_args(argv))
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    try:
        for given, meant in mistyped(environ, _variables(declared)):
            raise SettingError(f"there is no setting {given}; did you mean {meant}?")
        file = flags["config"]
        if file == "":
            raise SettingError("--config: '' is not a path")
        file = file or environ.get(_CONFIG_VARIABLE)
        for found in (
            _in_file(file, declared),
            _in_environ(environ, declared),
            settings.given(flags, declared),
        ):
            for origin, one, value in found:
                values[one.name], origins[one.name] = value, origin
        loaded = config(**values, **{"given_by": origins})
        text = _printed(loaded, declared, origins) if flags["print_config"] else ""
    except SettingError as error:
        parser.error(str(error))
    if text:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")  # as TOML is, wherever it is printed
        parser.exit(0 if flushed(text) else 1)
    return loaded


def variable(setting: Setting) -> str:
    """Return the environment variable of a setting."""
    return "SENTIDO_" + setting.name.upper()


def unknown_variables(config: type[Any], environ: Mapping[str, str]) -> list[str]:
    """Return the variables that look like settings, are none, and are known to nobody else."""
    names = _variables(settings.declared(config))
    return sorted(
        name
        for name in environ
        if name.startswith("SENTIDO_") and name not in names and not is_known_elsewhere(name)
    )


def _variables(declared: Iterable[Setting]) -> Sequence[str]:
    return (_CONFIG_VARIABLE, *map(variable, declared))


def _in_file(file: str | None, declared: Iterable[Setting]) -> Given:
    known = {one.name: one for one in declared}
    try:
        table = tomllib.loads(Path(file).read_text(encoding="utf-8")) if file else {}
    except OSError as error:
        raise SettingError(f"cannot read the settings in {file}: {reason(error)}") from error
    except RecursionError as error:
        raise SettingError(f"{file} is nested too deeply") from error
    except ValueError as error:
        raise SettingError(f"{file} is not TOML: {error}") from error
    for key, value in table.items():
        if key not in known:
            near = difflib.get_close_matches(key.replace("-", "_"), known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise SettingError(f"{file}: there is no setting {key}{hint}")
        origin = f"{file}: {key}"
        yield origin, known[key], known[key].checked(origin, value)


def _in_environ(environ: Mapping[str, str], declared: Iterable[Setting]) -> Given:
    for one in declared:
        origin = variable(one)
        if text := environ.get(origin):  # an empty one is none
            texts = text.split(os.pathsep) if one.is_repeated else text
            yield origin, one, one.value(origin, texts)


def _printed(loaded: Any, declared: Iterable[Setting], origins: Mapping[str, str]) -> str:
    """Return all settings as TOML. Raises SettingError for a path that TOML cannot hold."""
    lines = []
    for one in declared:
        value = _toml(one.name, getattr(loaded, one.name))
        if not is_utf8(value):
            origin = origins.get(one.name, one.flag)
            raise SettingError(f"{origin}: is not UTF-8, and so cannot be printed as TOML")
        lines.append(f"{value}  # {_comment(origins.get(one.name, 'default'))}\n")
    return "".join(lines)


def _comment(text: str) -> str:
    """Return a text with what no comment of TOML can hold, such as ends of lines, escaped."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def _toml(name: str, value: Any) -> str:
    """Return a setting as a line of TOML, whose strings are JSON's, but for an escaped DEL."""
    if value is None:
        return f"# {name} is not set"
    if isinstance(value, bool | int):
        return f"{name} = {str(value).lower()}"
    text = [str(one) for one in value] if isinstance(value, tuple) else str(value)
    return f"{name} = " + json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
