"""Settings declared once, as fields of dataclasses: flags are made of them, and their values read.

    @dataclass(frozen=True)
    class Options:
        part_rows: int = setting(65_536, "rows after which what is done is safe", least=1)

    options = made(Options, parse(parser, argv, Options))

It knows no setting. Those of `sentido-server`, `sentido-export`, `sentido-score` and
`sentido-evaluate` are declared with it, where they are used. A setting is an int, a float, a str, a
bool, a Path or a StrEnum, or one of these or None; a tuple, whose flag may be repeated, or takes
several at once; or a Mapping, whose flag takes one pair and may be repeated. A secret is never a
setting, the path of a file that holds it is.

A later flag overrides an earlier one, as everywhere, so that scripts can pass flags on. But where
somebody may think that both count, a second one is an error: `once`, and lists in one flag.
"""

import argparse
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType, NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin

_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_NO_NOTES: Mapping[str, str] = MappingProxyType({})
_Kind = TypeVar("_Kind")


class SettingError(ValueError):
    """A value that a setting cannot have. The message says what was got and what is wanted."""


@dataclasses.dataclass(frozen=True)
class Setting:
    """One setting: what is declared of it, and the field that it is."""

    default: Any = dataclasses.MISSING
    text: str = ""  # what --help says of it; its default is added, unless this speaks of one
    least: float | None = 0  # of a number; None: any
    most: float | None = 2**31 - 1
    open_ends: bool = False  # whether `least` and `most` are no values themselves
    choices: Sequence[str] = ()
    wanted: str = ""  # what a value has to be, in an error; "": made of the type and the bounds
    read: Callable[[Any], Any] | None = None  # the value of a flag's text; raises ValueError
    metavar: str = ""  # "": N, the choices, or the last word of the flag
    group: str = ""  # heading in --help of this setting and those behind it
    flag_name: str = ""  # with underscores; "": the field's
    words: str = ""  # "+" or "*": the flag takes several words, as `nargs` of argparse
    positional: bool = False
    required: bool = False
    once: bool = False  # whether the flag is an error if it is given again, and overrides nothing
    may_be_empty: bool = False  # of a string; one whose default is "" may, too
    name: str = ""  # of the field
    type: Any = str

    @property
    def flag(self) -> str:
        """The flag that it is known by: of a switch that is on, the one to turn it off."""
        return self.flag_of(self.default is not True)

    def flag_of(self, value: Any) -> str:
        """Return the flag that gives a value: of a switch, the one to turn it on or off."""
        return ("--no-" if value is False else "--") + self._dashed

    @property
    def is_repeated(self) -> bool:
        """Whether the flag may be given again: its texts are collected."""
        is_list = self._kind is tuple and self.read is None and not self.words
        return is_list or self._kind is Mapping

    @property
    def is_once(self) -> bool:
        """Whether the flag may not be given again: nor may one that takes several at once."""
        return self.once or (self._kind is tuple and not self.is_repeated and not self.positional)

    def value(self, origin: str, text: Any) -> Any:
        """Return the value of a flag's or a variable's text, of several texts, or of a switch.

        Raises SettingError, which names the origin.
        """
        try:
            if self.read is not None and self._kind is Mapping:
                return _pairs(map(self.read, text))
            value = self._plain(text) if self.read is None else self.read(text)
        except ValueError as error:
            raise SettingError(f"{origin}: {error}") from error
        return self.checked(origin, value, text)

    def checked(self, origin: str, value: Any, text: Any = None) -> Any:
        """Return a value as the field's type has it. Raises SettingError, which shows the text.

        `text`: None for a value that has a type already, as in TOML.
        """
        if self._lacks_a_value(value):  # as by a variable of the shell that is not set
            raise SettingError(f"{origin}: is empty, a value is needed")
        fits, wanted = self._judged(value)
        if not fits:
            shown = _shown(value if text is None else text)
            is_quoted = text is None and type(value) is str and self._kind in (bool, int, float)
            is_not = "in quotes is a string, not" if is_quoted else "is not"
            raise SettingError(f"{origin}: {shown} {is_not} {self.wanted or wanted}")
        kind = self._kind
        if kind is tuple:
            return (value,) if type(value) is str else tuple(value)
        return kind(value) if kind is Path or issubclass(kind, StrEnum) else value

    def add_to(self, group: argparse._ActionsContainer, note: str, *, both_ways: bool) -> None:
        """Add its flag, which is None, or [], if it is not given."""
        options: dict[str, Any] = {"help": self._help(note).replace("%", "%%")}
        if self.positional:
            group.add_argument(self.name, nargs=self.words, **options)
            return
        name, options["dest"] = self.flag, self.name
        if self._kind is not bool:
            options |= {"metavar": self._metavar, "required": self.required}
            options |= {"nargs": self.words} if self.words else {}
            options |= {"action": "append"} if self.is_repeated or self.is_once else {}
        elif both_ways or self.default is dataclasses.MISSING:
            name, options["action"] = f"--{self._dashed}", argparse.BooleanOptionalAction
        else:
            options |= {"action": "store_const", "const": not self.default}
        group.add_argument(name, **options)

    @property
    def instead(self) -> str:
        """What to do instead of giving it twice."""
        if self._kind is tuple:
            several = " ..." if self.words else ""
            return f"it takes several at once, {self.flag} {self._metavar}{several}"
        return "it takes one value"

    @property
    def _kind(self) -> Any:
        """The type of its values, other than None: tuple for tuple[str, ...]."""
        if self.words:
            return tuple
        kind = self.type
        if get_origin(kind) is UnionType:
            kind = next(one for one in get_args(kind) if one is not NoneType)
        return get_origin(kind) or kind

    @property
    def _holds_paths(self) -> bool:
        """Whether it is a tuple of paths."""
        return any(Path in get_args(item) for item in get_args(self.type))

    @property
    def _dashed(self) -> str:
        return (self.flag_name or self.name).replace("_", "-")

    @property
    def _choices(self) -> Sequence[str]:
        return [*map(str, self._kind)] if issubclass(self._kind, StrEnum) else self.choices

    @property
    def _metavar(self) -> str:
        if self._kind is int:
            return self.metavar or "N"
        choices = f"{{{','.join(self._choices)}}}" if self._choices else ""
        return self.metavar or choices or self._dashed.split("-")[-1].upper()

    def _help(self, note: str) -> str:
        """Return what --help says, with a note or with the default, if that is one value."""
        if not note and "default" not in self.text and self._kind in (int, float, str):
            has_default = self.default not in (None, "", dataclasses.MISSING)
            note = f"default: {self.default}" if has_default else ""
        return f"{self.text} ({note})" if self.text and note else self.text or note

    def _plain(self, text: Any) -> Any:
        """Return a number or a switch that stands in a text; what is none is refused as it is."""
        if type(text) is str and self._kind is bool:
            return _BOOLEANS.get(text.lower(), text)
        if self._kind in (int, float) and text.isascii():
            with suppress(ValueError):
                return self._kind(text)
        return text

    def _lacks_a_value(self, value: Any) -> bool:
        """Return whether it is an empty string, or holds one, where that means nothing.

        What is read by a function, chosen, or a path, is refused by what it has to be.
        """
        if self.read is not None or self.choices or self.positional or self.may_be_empty:
            return False
        if self._kind is tuple:
            return type(value) in (list, tuple) and "" in value and not self._holds_paths
        return self._kind is str and value == "" and self.default != ""

    def _judged(self, value: Any) -> tuple[bool, str]:
        """Return whether it can have a value, and what can be had."""
        kind = self._kind
        if choices := self._choices:
            return value in choices, f"one of {', '.join(choices)}"
        if kind is bool:
            return type(value) is bool, "true or false"
        if kind in (int, float):
            return type(value) is kind and self._is_within(value), self._number
        if kind is Path:
            return isinstance(value, Path) or _names_a_file(value), "a path"
        if kind is tuple and self._holds_paths:
            paths = [value] if type(value) is str else value  # in TOML, one of them
            is_list = type(paths) in (list, tuple) and len(paths) > 0
            return is_list and all(map(_names_a_file, paths)), "a path"
        if kind is tuple:
            return type(value) is not str and all(type(one) is str for one in value), "strings"
        return isinstance(value, kind), "a string" if kind is str else "pairs"

    def _is_within(self, value: float) -> bool:
        least = float("-inf") if self.least is None else self.least
        most = float("inf") if self.most is None else self.most
        return least < value < most if self.open_ends else least <= value <= most

    @property
    def _number(self) -> str:
        number = "a whole number" if self._kind is int else "a number"
        if self.least is None:
            return number
        if self.most is None:
            return f"{number} of at least {self.least}"
        first, second = ("between", "and") if self.open_ends else ("from", "to")
        return f"{number} {first} {self.least} {second} {self.most}"


def setting(default: Any = dataclasses.MISSING, text: str = "", **facts: Any) -> Any:
    """Declare a field: its default, its help, and what else a `Setting` has."""
    return _field(Setting(default, text, **facts))


def like(kind: type, name: str, **changes: Any) -> Any:
    """Declare a field as it is in another dataclass, but for these changes."""
    (one,) = (one for one in declared(kind) if one.name == name)
    return _field(dataclasses.replace(one, **changes))


def declared(*kinds: type) -> Iterator[Setting]:
    """Return the settings of dataclasses, and of the dataclasses that are fields of these."""
    for kind in kinds:
        for field in dataclasses.fields(kind):
            if "setting" in field.metadata:
                facts: Setting = field.metadata["setting"]
                yield dataclasses.replace(facts, name=field.name, type=field.type)
            elif isinstance(field.type, type) and dataclasses.is_dataclass(field.type):
                yield from declared(field.type)


def defaults(*kinds: type) -> dict[str, Any]:
    """Return the defaults of the settings that have one."""
    found = {one.name: one.default for one in declared(*kinds)}
    return {name: value for name, value in found.items() if value is not dataclasses.MISSING}


def made(kind: type[_Kind], values: Mapping[str, Any], **others: Any) -> _Kind:
    """Make a dataclass of the values that have the names of its fields, and of the others."""
    arguments = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        if field.name in others:
            arguments[field.name] = others[field.name]
        elif isinstance(field.type, type) and dataclasses.is_dataclass(field.type):
            arguments[field.name] = made(field.type, values)
        elif field.name in values:
            arguments[field.name] = values[field.name]
    return kind(**arguments)


def check(options: Any) -> None:
    """Raise SettingError if a dataclass has a value that its own declarations refuse."""
    for one in declared(type(options)):
        if (value := vars(options).get(one.name)) is not None:
            one.checked(one.name, value)


def parse(
    parser: argparse.ArgumentParser,
    argv: Sequence[str] | None,
    *kinds: type,
    notes: Mapping[str, str] = _NO_NOTES,
) -> dict[str, Any]:
    """Return the values of the flags that are given. Exits with 2 and one line for a bad one.

    `notes`: what --help says of some settings in the place of their default.
    """
    settings = list(declared(*kinds))
    add_flags(parser, settings, notes=notes)
    flags = vars(parser.parse_args(argv))
    try:
        return {one.name: value for _, one, value in given(flags, settings)}
    except SettingError as error:
        parser.error(str(error))


def add_flags(
    parser: argparse.ArgumentParser,
    settings: Iterable[Setting],
    *,
    notes: Mapping[str, str] = _NO_NOTES,
    both_ways: bool = False,
) -> None:
    """Add the flags of settings.

    `both_ways`: switches can be turned on and off, since something else than a flag may do either;
    those without a default always can.
    """
    group: argparse._ActionsContainer = parser
    groups: dict[str, argparse._ActionsContainer] = {}
    for one in settings:
        if one.group and one.group not in groups:
            groups[one.group] = parser.add_argument_group(one.group)
        group = groups.get(one.group, group)
        one.add_to(group, notes.get(one.name, ""), both_ways=both_ways)


Given = Iterator[tuple[str, Setting, Any]]
"""Where a value is from, which setting it is of, and the value itself."""


def given(flags: Mapping[str, Any], settings: Iterable[Setting]) -> Given:
    """Return what the flags say of settings. Raises SettingError."""
    for one in settings:
        if (text := flags[one.name]) not in (None, []):
            if one.is_once:
                text, *others = text
                if others:
                    raise SettingError(f"{one.flag} is given twice: {one.instead}")
            flag = one.flag_of(text)
            yield flag, one, one.value(flag, text)


def _field(facts: Setting) -> Any:
    if isinstance(facts.default, dict):
        metadata = {"setting": facts}
        return dataclasses.field(default_factory=facts.default.copy, metadata=metadata)
    return dataclasses.field(default=facts.default, metadata={"setting": facts})


def _names_a_file(value: Any) -> bool:
    return type(value) is str and value != "" and "\0" not in value


def _shown(value: Any) -> str:
    """Return what an error shows of a value: of a list, what is no path in it."""
    if isinstance(value, list | tuple):
        value = next((one for one in value if not _names_a_file(one)), value)
    if isinstance(value, str):
        return repr(value)
    return str(value).lower() if value is True or value is False else str(value)


def _pairs(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return the pairs by their names. Raises ValueError for a name that is given twice."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name!r:.60} is given twice: {found[name]} and {value}")
        found[name] = value
    return found
