"""The stack, the marks and the memo of a pickle's interpreter, and the names it knows.

A name in a file is looked up in a table: those under which Keras kept its `Tokenizer`, and the few
that a pickled one needs. Every other name is refused, and so is all that makes an object of
anything else.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from sentido_export.imported.pickle_bytes import Cursor, PickleError

MOST_OPCODES = 20_000_000
MOST_DEPTH = 100  # containers in each other
MOST_OBJECTS = 5_000_000  # strings and containers together; also entries of the memo

_STRIDE = 10_000  # opcodes between two looks at these bounds
_COMMON = frozenset(b"\x94\x8c\x4d\x4b\x6a\x72\x4a\x58")

_MODULES = (
    "keras.preprocessing.text",
    "tensorflow.keras.preprocessing.text",
    "keras_preprocessing.text",
    "keras.src.preprocessing.text",
    "keras.src.legacy.preprocessing.text",
    "tf_keras.src.preprocessing.text",
    "tf_keras.preprocessing.text",
    "tensorflow.python.keras.preprocessing.text",
)
HOW_TO_SAVE = (
    "save the Tokenizer alone, as text: open('tokenizer.json', 'w').write(tokenizer.to_json())"
)


class _Name(Enum):
    """What a name in a pickle may stand for."""

    TOKENIZER = auto()
    DICT = auto()  # OrderedDict and defaultdict, read as dict
    REBUILD = auto()  # how the protocols 0 and 1 make an object
    TYPE = auto()  # object, int: arguments of the others


_NAMES = {
    **{(module, "Tokenizer"): _Name.TOKENIZER for module in _MODULES},
    ("collections", "OrderedDict"): _Name.DICT,
    ("collections", "defaultdict"): _Name.DICT,
    ("copyreg", "_reconstructor"): _Name.REBUILD,
    ("copy_reg", "_reconstructor"): _Name.REBUILD,
    **{
        (module, name): _Name.TYPE
        for module in ("builtins", "__builtin__")
        for name in ("object", "int", "long")
    },
}


@dataclass
class PickledTokenizer:
    """A Tokenizer as it stands in a pickle: its attributes by name."""

    state: dict[str, Any] = field(default_factory=dict)


class Machine:
    """A stack, the marks in it and a memo, as `pickle.Unpickler` has them."""

    def __init__(self, data: bytes, most_opcodes: int, most_objects: int) -> None:
        self._data = data
        self._most_opcodes, self._most_objects = most_opcodes, most_objects
        self._cursor = Cursor(data)
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._objects = 0
        self._opcodes = 0

    @property
    def position(self) -> int:
        """Bytes that have been read."""
        return self._cursor.position

    @property
    def bytes_left(self) -> int:
        """Bytes behind the pickle."""
        return self._cursor.bytes_left

    def protocol(self) -> None:
        """Check the protocol that a pickle begins with."""
        if (version := self._cursor.number(1)) > 5:
            raise PickleError(f"is of pickle's protocol {version}, those of 0 to 5 are read")

    def opcode(self) -> int:
        """Follow the opcodes that are nearly all of a pickle; return the next other one."""
        while self._data[self._cursor.position] in _COMMON:
            self._follow_common()
            self._check_bounds()
        self._opcodes += 1
        if self._opcodes % _STRIDE == 0:
            self._check_bounds()
        return self._cursor.byte()

    def _check_bounds(self) -> None:
        if self._opcodes > self._most_opcodes:
            raise PickleError(f"has more than {self._most_opcodes:,} opcodes: {HOW_TO_SAVE}")
        if max(self._objects, len(self._memo)) > self._most_objects:
            raise PickleError(
                f"makes more than {self._most_objects:,} strings, containers or entries of the"
                f" memo, which no Tokenizer does: {HOW_TO_SAVE}"
            )

    def _follow_common(self) -> None:
        """Follow numbers, strings and the memo for some opcodes, which must be `_COMMON`.

        One by one they would take three times as long.
        """
        data, stack, memo = self._data, self._stack, self._memo
        at, count, strings = self._cursor.position, 0, 0
        try:
            for count in range(_STRIDE):  # noqa: B007  # it is read in the end
                code = data[at]
                if code == 0x94:  # MEMOIZE
                    memo[len(memo)] = stack[-1]
                    at += 1
                elif code == 0x8C:  # SHORT_BINUNICODE
                    end = at + 2 + data[at + 1]
                    stack.append(data[at + 2 : end].decode("utf-8", "surrogatepass"))
                    at, strings = end, strings + 1
                elif code == 0x4D:  # BININT2
                    stack.append(data[at + 1] | data[at + 2] << 8)
                    at += 3
                elif code == 0x4B:  # BININT1
                    stack.append(data[at + 1])
                    at += 2
                elif code == 0x6A:  # LONG_BINGET
                    stack.append(memo[int.from_bytes(data[at + 1 : at + 5], "little")])
                    at += 5
                elif code == 0x72:  # LONG_BINPUT
                    memo[int.from_bytes(data[at + 1 : at + 5], "little")] = stack[-1]
                    at += 5
                elif code == 0x4A:  # BININT
                    stack.append(int.from_bytes(data[at + 1 : at + 5], "little", signed=True))
                    at += 5
                elif code == 0x58:  # BINUNICODE
                    end = at + 5 + int.from_bytes(data[at + 1 : at + 5], "little")
                    stack.append(data[at + 5 : end].decode("utf-8", "surrogatepass"))
                    at, strings = end, strings + 1
                else:
                    break
        finally:
            self._cursor.position = at
            self._opcodes += count
            self._objects += strings

    # -- values

    def push(self, value: Any) -> None:
        """Put a value on the stack."""
        self._stack.append(value)

    def pop(self) -> Any:
        """Take a value from the stack."""
        return self._stack.pop()

    def push_object(self, value: Any) -> None:
        """Put a string or a container on the stack, of which there may not be too many."""
        self._objects += 1
        self._stack.append(value)

    def push_read(self, read: Callable[[Cursor], Any]) -> None:
        """Put on the stack what is read next."""
        value = read(self._cursor)
        if isinstance(value, str | bytes):
            self._objects += 1
        self._stack.append(value)

    def name(self) -> None:
        """Look up the name that stands in two lines."""
        self._push_name(self._cursor.word(), self._cursor.word())

    def refuse_instance(self) -> None:
        """Refuse an object of a class of Python 2's old style, by the name of the class."""
        self.name()
        raise PickleError(f"makes an object by a call (INST); nothing was called: {HOW_TO_SAVE}")

    def stack_name(self) -> None:
        """Look up the name whose two parts are on the stack."""
        name, module = self._stack.pop(), self._stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise PickleError("names something by what is not a string")
        self._push_name(module, name)

    def _push_name(self, module: str, name: str) -> None:
        known = _NAMES.get((module, name))
        if known is None:
            what = "has the analyzer" if self._stack[-1:] == ["analyzer"] else "names"
            raise PickleError(
                f"{what} {module:.200}.{name:.200}, which is not a part of a Keras Tokenizer;"
                f" nothing was imported or run: {HOW_TO_SAVE}"
            )
        self._stack.append(known)

    # -- marks and containers

    def mark(self) -> None:
        """Begin to collect items."""
        if len(self._marks) >= MOST_DEPTH:
            raise PickleError(f"begins more than {MOST_DEPTH} objects in each other: {HOW_TO_SAVE}")
        self._marks.append(self._stack)
        self._stack = []

    def items(self) -> list[Any]:
        """Return the items collected since the last mark."""
        items, self._stack = self._stack, self._marks.pop()
        return items

    def make_tuple(self, count: int) -> None:
        """Put the last values into a tuple."""
        items = tuple(self._stack[-count:])
        if len(items) < count:
            raise IndexError
        del self._stack[-count:]
        self.push_object(items)

    def extend(self, items: list[Any]) -> None:
        """Append to the list on the stack."""
        target = self._stack[-1]
        if type(target) is not list:
            raise PickleError("appends to what is not a list")
        target.extend(items)

    def make_dict(self) -> None:
        """Put the items since the last mark into a dict."""
        items = self.items()
        self.push_object({})
        self.update(items)

    def update(self, items: list[Any]) -> None:
        """Set items of the dict on the stack: keys and values in turn."""
        target = self._stack[-1]
        if type(target) is not dict:
            raise PickleError("sets items of what is not a dict")
        target.update(_pairs(items[::2], items[1::2]))

    # -- objects

    def call(self) -> None:
        """Make the object that a call of one of the known names would make."""
        arguments, called = self._stack.pop(), self._stack.pop()
        if called is _Name.DICT:
            self.push_object(_made_dict(arguments))
        elif called is _Name.REBUILD and arguments == (_Name.TOKENIZER, _Name.TYPE, None):
            self.push_object(PickledTokenizer())
        else:
            raise PickleError(f"calls something; nothing was called: {HOW_TO_SAVE}")

    def make_object(self) -> None:
        """Make an object of a class: only a Tokenizer, without arguments."""
        arguments, made = self._stack.pop(), self._stack.pop()
        if made is not _Name.TOKENIZER or arguments != ():
            raise PickleError(f"makes an object that is not a Tokenizer: {HOW_TO_SAVE}")
        self.push_object(PickledTokenizer())

    def build(self) -> None:
        """Set the attributes of a Tokenizer."""
        state, target = self._stack.pop(), self._stack[-1]
        if not isinstance(target, PickledTokenizer) or type(state) is not dict:
            raise PickleError(f"sets attributes of what is not a Tokenizer: {HOW_TO_SAVE}")
        target.state.update(state)

    # -- the memo

    def remember(self, index: int) -> None:
        """Write the value on the stack down."""
        self._memo[index] = self._stack[-1]

    def recall(self, index: int) -> None:
        """Put on the stack what was written down."""
        self._stack.append(self._memo[index])

    def read_index(self, *, is_line: bool) -> int:
        """Return the index of an entry of the memo: a line or a byte."""
        return self._cursor.short_whole() if is_line else self._cursor.byte()

    def skip(self, count: int) -> None:
        """Pass over bytes that change nothing: a protocol, the size of a frame."""
        self._cursor.take(count)

    def duplicate(self) -> None:
        """Put the value on the stack there again."""
        self._stack.append(self._stack[-1])

    def drop(self) -> None:
        """Forget the value on the stack, or the mark."""
        if self._stack:
            self._stack.pop()
        else:
            self.items()


def _pairs(keys: list[Any], values: list[Any]) -> Iterator[tuple[Any, Any]]:
    for key in keys:
        if not isinstance(key, str | bytes | int | float | None):
            raise PickleError(f"has a {type(key).__name__} as a key: {HOW_TO_SAVE}")
    return zip(keys, values, strict=True)


def _made_dict(arguments: Any) -> dict[Any, Any]:
    """Return what OrderedDict and defaultdict make of their arguments.

    These are none, `int` or None, or Python 2's list of pairs.
    """
    if arguments in ((), (_Name.TYPE,), (None,)):
        return {}
    pairs = arguments[0] if isinstance(arguments, tuple) and len(arguments) == 1 else None
    if type(pairs) is list and all(
        type(pair) in (list, tuple) and len(pair) == 2 for pair in pairs
    ):
        return dict(_pairs([key for key, _ in pairs], [value for _, value in pairs]))
    raise PickleError(f"makes a dict of what is not a list of pairs: {HOW_TO_SAVE}")
