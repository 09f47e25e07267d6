"""Reads what a dataclass declares as settings: flag, else variable, else file, else default.

It knows no setting. A field is made by `setting` and is an int, a str, a bool, a `Path | None` or
a `tuple[str | Path, ...]`; from its name come `--max-texts`, `SENTIDO_MAX_TEXTS` and `max_texts` in
TOML. A secret is never a setting, the path of a file that holds it is.
"""

import argparse
import dataclasses
import difflib
import json
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from sentido_bundle.errors import reason

from sentido_server.variables import is_known_elsewhere, mistyped

_CONFIG_VARIABLE = "SENTIDO_CONFIG"
_MOST_DIGITS = 1000  # more than any setting has; Python reads no number of 4,301
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_Config = TypeVar("_Config")
_Field = dataclasses.Field[Any]
_Found = Iterator[tuple[str, _Field, Any]]  # where a value is from, whose it is, what it is


class SettingError(ValueError):
    """A value that a setting cannot have. The message says what was got and what is wanted."""


def setting(
    default: Any,
    text: str,
    *,
    least: int = 0,
    most: int = 2**31 - 1,
    choices: tuple[str, ...] = (),
) -> Any:
    """Declare a field: its default, its help, the least and most of an int, a str's choices."""
    metadata = {"help": text, "least": least, "most": most, "choices": choices}
    return dataclasses.field(default=default, metadata=metadata)


def load(
    config: type[_Config],
    parser: argparse.ArgumentParser,
    argv: Sequence[str],
    environ: Mapping[str, str],
) -> _Config:
    """Read the settings. Exits with 2 for a bad one, with 0 after printing them if asked to."""
    fields: Sequence[_Field] = dataclasses.fields(config)  # type: ignore[arg-type]
    _add_flags(parser, fields)
    flags = vars(parser.parse_args(argv))
    values: dict[str, Any] = {}
    origins = dict.fromkeys((field.name for field in fields), "default")
    try:
        for given, meant in mistyped(environ, _variables(fields)):
            raise SettingError(f"there is no setting {given}; did you mean {meant}?")
        file = flags["config"]
        if file == "":
            raise SettingError("--config: '' is not a path")
        file = file or environ.get(_CONFIG_VARIABLE)
        for found in (
            _in_file(file, fields),
            _in_environ(environ, fields),
            _in_flags(flags, fields),
        ):
            for origin, field, value in found:
                values[field.name] = _checked(origin, field, value)
                origins[field.name] = origin
        loaded = config(**values)
    except SettingError as error:
        parser.error(str(error))
    if flags["print_config"]:
        for field in fields:
            print(f"{_toml(field.name, getattr(loaded, field.name))}  # {origins[field.name]}")
        parser.exit(0)
    return loaded


def flag(field: _Field) -> str:
    """Give the flag that a field is known by: of a switch that is on, the one to turn it off."""
    return ("--no-" if field.default is True else "--") + field.name.replace("_", "-")


def variable(field: _Field) -> str:
    """Give the environment variable of a field."""
    return "SENTIDO_" + field.name.upper()


def unknown_variables(config: type[Any], environ: Mapping[str, str]) -> list[str]:
    """Return the variables that look like settings, are none, and are known to nobody else."""
    names = _variables(dataclasses.fields(config))
    return sorted(
        name
        for name in environ
        if name.startswith("SENTIDO_") and name not in names and not is_known_elsewhere(name)
    )


def _variables(fields: Sequence[_Field]) -> Sequence[str]:
    return (_CONFIG_VARIABLE, *map(variable, fields))


def _add_flags(parser: argparse.ArgumentParser, fields: Sequence[_Field]) -> None:
    parser.add_argument("--config", metavar="FILE", help="read settings from a TOML file")
    parser.add_argument(
        "--print-config", action="store_true", help="print all settings as such a file, and exit"
    )
    for field in fields:
        text = field.metadata["help"].replace("%", "%%")
        options: dict[str, Any] = {"action": "append" if _is_list(field) else "store"}
        if field.type is bool:
            options = {"action": argparse.BooleanOptionalAction}
        else:
            options["metavar"] = "N" if field.type is int else field.name.split("_")[-1].upper()
        if field.type in (int, str):
            text += f" (default: {field.default})"
        parser.add_argument("--" + field.name.replace("_", "-"), help=text, **options)


def _in_file(file: str | None, fields: Sequence[_Field]) -> _Found:
    known = {field.name: field for field in fields}
    try:
        table = tomllib.loads(Path(file).read_text(encoding="utf-8")) if file else {}
    except OSError as error:
        raise SettingError(f"cannot read the settings in {file}: {reason(error)}") from error
    except ValueError as error:
        raise SettingError(f"{file} is not TOML: {error}") from error
    for key, value in table.items():
        if key not in known:
            near = difflib.get_close_matches(key.replace("-", "_"), known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise SettingError(f"{file}: there is no setting {key}{hint}")
        yield f"{file}: {key}", known[key], value


def _in_environ(environ: Mapping[str, str], fields: Sequence[_Field]) -> _Found:
    for field in fields:
        if text := environ.get(variable(field)):  # an empty one is none
            texts = text.split(os.pathsep)
            value = texts if _is_list(field) else _from_text(field, text)
            yield variable(field), field, value


def _in_flags(flags: Mapping[str, Any], fields: Sequence[_Field]) -> _Found:
    for field in fields:
        if (value := flags[field.name]) is not None:
            yield flag(field), field, _from_text(field, value) if type(value) is str else value


def _from_text(field: _Field, text: str) -> Any:
    """Read a number or a switch; what is none is refused later, as it is."""
    if field.type is int:
        is_number = text.isdecimal() and text.isascii() and len(text) <= _MOST_DIGITS
        return int(text) if is_number else text
    return _BOOLEANS.get(text.lower(), text) if field.type is bool else text


def _checked(origin: str, field: _Field, value: Any) -> Any:
    """Give a value as the field's type has it. Raises SettingError."""
    least, most, choices = (field.metadata[key] for key in ("least", "most", "choices"))
    if _is_list(field) and type(value) is str:
        value = [value]  # in TOML, one of them
    if _is_list(field):
        fits, wanted = type(value) is list and value and all(map(_names_a_file, value)), "paths"
    elif _is_path(field):
        fits, wanted = _names_a_file(value), "a path"
    elif field.type is bool:
        fits, wanted = type(value) is bool, "true or false"
    elif field.type is int:
        fits = type(value) is int and least <= value <= most
        wanted = f"a whole number from {least} to {most}"
    elif choices:
        fits, wanted = value in choices, f"one of {', '.join(choices)}"
    else:
        fits, wanted = type(value) is str, "a string"
    if not fits:
        raise SettingError(f"{origin}: {str(value)!r} is not {wanted}")
    if _is_list(field):
        return tuple(value)
    return Path(value) if _is_path(field) else value


def _is_list(field: _Field) -> bool:
    return field.type == tuple[str | Path, ...]


def _is_path(field: _Field) -> bool:
    return field.type == Path | None


def _names_a_file(value: Any) -> bool:
    return type(value) is str and value != "" and "\0" not in value


def _toml(name: str, value: Any) -> str:
    """Give a setting as a line of TOML, whose strings are JSON's, but for an escaped DEL."""
    if value is None:
        return f"# {name} is not set"
    if isinstance(value, bool | int):
        return f"{name} = {str(value).lower()}"
    shown = [str(each) for each in value] if isinstance(value, tuple) else str(value)
    return f"{name} = " + json.dumps(shown, ensure_ascii=False).replace("\x7f", "\\u007f")
