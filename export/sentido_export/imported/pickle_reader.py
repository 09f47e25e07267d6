"""Reads a pickle as data: an interpreter of its opcodes that imports nothing and calls nothing.

`pickle.load` runs what a file tells it to. Here each opcode acts on a `Machine`, whose table of
names says what a file may hold. Understood are the protocols 0 to 5, from Python 2 and 3 (source:
the comments of `pickletools`). What a pickle says is held to bounds: opcodes, objects, depth.
"""

from collections.abc import Callable, Iterator
from typing import Any

from sentido_export.errors import ExportError
from sentido_export.imported.pickle_bytes import CUT_OFF, Cursor, PickleError, decoded
from sentido_export.imported.pickle_machine import (
    HOW_TO_SAVE,
    MOST_DEPTH,
    MOST_OBJECTS,
    MOST_OPCODES,
    Machine,
    PickledTokenizer,
)

_CONTAINERS = (dict, list, tuple, PickledTokenizer)


def read_pickle(
    data: bytes,
    where: str,
    *,
    most_opcodes: int = MOST_OPCODES,
    most_objects: int = MOST_OBJECTS,
) -> tuple[Any, int]:
    """Return what a pickle holds, of plain values and `PickledTokenizer`, and the bytes behind it.

    Strings of Python 2 are read as UTF-8, and stay bytes where they are not. Raises ExportError
    that begins with `where` and says what was found and what to do.
    """
    machine = Machine(data, most_opcodes, most_objects)
    try:
        value = _run(machine)
        _height(value, {})
    except PickleError as error:
        raise ExportError(f"{where}: {error}") from error
    except (IndexError, KeyError, ValueError, OverflowError) as error:
        if not data.startswith(b"\x80") and not data.endswith(b"."):
            raise ExportError(f"{where}: {_NO_PICKLE}") from error
        if machine.bytes_left <= 0:
            raise ExportError(f"{where}: {CUT_OFF}") from error
        raise ExportError(
            f"{where}: is not a whole pickle (it stops making sense at byte"
            f" {machine.position:,}): save it again, or copy it again"
        ) from error
    return value, machine.bytes_left


def _run(machine: Machine) -> Any:
    """Follow the opcodes to the last; return what they have made."""
    while (code := machine.opcode()) != _STOP:
        act = _ACTIONS.get(code)
        if act is None:
            raise PickleError(_why_not(code, machine.position == 1))
        act(machine)
    return machine.pop()


def contained(value: Any) -> Iterator[Any]:
    """Return what a container holds, of a dict the values; nothing for any other value."""
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list | tuple):
        yield from value
    elif isinstance(value, PickledTokenizer):
        yield from value.state.values()


def _height(value: Any, known: dict[int, int], levels: int = MOST_DEPTH) -> int:
    """Return how deep containers are in each other. Raise PickleError if that is too deep."""
    if levels > 0 and id(value) not in known:
        known[id(value)] = MOST_DEPTH  # while it is looked at: so one that holds itself is too deep
        inner = (item for item in contained(value) if isinstance(item, _CONTAINERS))
        heights = (_height(item, known, levels - 1) for item in inner)
        known[id(value)] = 1 + max(heights, default=0)
    height = known.get(id(value), MOST_DEPTH + 1)
    if height > MOST_DEPTH:
        raise PickleError(
            f"holds an object in itself, or more than {MOST_DEPTH} in each other: {HOW_TO_SAVE}"
        )
    return height


def _why_not(code: int, is_first: bool) -> str:
    if (what := _REFUSED.get(code)) is not None:
        return f"holds {what}, which is not a part of a Keras Tokenizer: {HOW_TO_SAVE}"
    if is_first:
        return _NO_PICKLE
    return f"has byte {code:#04x} where an opcode of pickle is needed: copy or save it again"


_NO_PICKLE = (
    "is neither a whole pickle nor JSON: what is needed was written by pickle.dump, joblib.dump or"
    " Tokenizer.to_json()"
)
_STOP = ord(".")
_REFUSED = {
    **dict.fromkeys(b"o", "an object made by a call (OBJ)"),
    **dict.fromkeys(b"\x92", "an object made by a call (NEWOBJ_EX)"),
    **dict.fromkeys(b"PQ", "an object that is stored elsewhere (PERSID)"),
    **dict.fromkeys(b"\x82\x83\x84", "a name from a table of extensions (EXT)"),
    **dict.fromkeys(b"\x8f\x90\x91", "a set"),
    **dict.fromkeys(b"\x96", "a bytearray"),
    **dict.fromkeys(b"\x97\x98", "a buffer that is stored elsewhere (NEXT_BUFFER)"),
}


def _read(read: Callable[[Cursor], Any]) -> Callable[[Machine], None]:
    return lambda machine: machine.push_read(read)


_ACTIONS: dict[int, Callable[[Machine], None]] = {
    ord(code): action
    for code, action in {
        # what changes nothing
        "\x80": lambda m: m.protocol(),  # PROTO
        "\x95": lambda m: m.skip(8),  # FRAME
        # plain values; numbers of one to four bytes are among the machine's common opcodes
        "N": lambda m: m.push(None),
        "\x88": lambda m: m.push(True),
        "\x89": lambda m: m.push(False),
        "I": _read(lambda c: c.whole()),  # INT
        "L": _read(lambda c: c.whole()),  # LONG
        "\x8a": _read(lambda c: c.signed(c.number(1))),  # LONG1
        "\x8b": _read(lambda c: c.signed(c.number(4))),  # LONG4
        "F": _read(lambda c: float(c.word())),  # FLOAT
        "G": _read(lambda c: c.real()),  # BINFLOAT
        # strings; so are those in Unicode that say their length
        "S": _read(lambda c: c.quoted()),  # STRING
        "T": _read(lambda c: decoded(c.take(c.number(4)))),  # BINSTRING
        "U": _read(lambda c: decoded(c.take(c.number(1)))),  # SHORT_BINSTRING
        "V": _read(lambda c: c.unicode_line()),  # UNICODE
        "\x8d": _read(lambda c: c.unicode(c.number(8))),  # BINUNICODE8
        "B": _read(lambda c: c.take(c.number(4))),  # BINBYTES
        "C": _read(lambda c: c.take(c.number(1))),  # SHORT_BINBYTES
        "\x8e": _read(lambda c: c.take(c.number(8))),  # BINBYTES8
        # containers
        "(": lambda m: m.mark(),
        ")": lambda m: m.push_object(()),
        "\x85": lambda m: m.make_tuple(1),
        "\x86": lambda m: m.make_tuple(2),
        "\x87": lambda m: m.make_tuple(3),
        "t": lambda m: m.push_object(tuple(m.items())),  # TUPLE
        "]": lambda m: m.push_object([]),
        "l": lambda m: m.push_object(m.items()),  # LIST
        "a": lambda m: m.extend([m.pop()]),  # APPEND
        "e": lambda m: m.extend(m.items()),  # APPENDS
        "}": lambda m: m.push_object({}),
        "d": lambda m: m.make_dict(),
        "s": lambda m: m.update([m.pop(), m.pop()][::-1]),  # SETITEM
        "u": lambda m: m.update(m.items()),  # SETITEMS
        # objects
        "c": lambda m: m.name(),  # GLOBAL
        "\x93": lambda m: m.stack_name(),  # STACK_GLOBAL
        "i": lambda m: m.refuse_instance(),  # INST
        "R": lambda m: m.call(),  # REDUCE
        "\x81": lambda m: m.make_object(),  # NEWOBJ
        "b": lambda m: m.build(),
        # the memo and the stack
        "p": lambda m: m.remember(m.read_index(is_line=True)),  # PUT
        "q": lambda m: m.remember(m.read_index(is_line=False)),  # BINPUT
        "g": lambda m: m.recall(m.read_index(is_line=True)),  # GET
        "h": lambda m: m.recall(m.read_index(is_line=False)),  # BINGET
        "0": lambda m: m.drop(),  # POP
        "1": lambda m: m.items(),  # POP_MARK
        "2": lambda m: m.duplicate(),  # DUP
    }.items()
}
