"""The checks that every text passes before anything is computed."""

from collections.abc import Iterable, Sequence

from sentido.v1 import common_pb2
from sentido.v1.common_pb2 import Usage
from sentido_bundle import Encoding, Tokenizer, Truncation

from sentido_server.faults import InvalidArgument, Violation
from sentido_server.rpc import Limits

_TRUNCATIONS: dict[int, Truncation | None] = {
    common_pb2.TRUNCATION_UNSPECIFIED: None,
    common_pb2.TRUNCATION_FORBIDDEN: None,
    common_pb2.TRUNCATION_KEEP_LAST: Truncation.PRE,
    common_pb2.TRUNCATION_KEEP_FIRST: Truncation.POST,
}


def check_enum(field: str, value: int, known: Iterable[tuple[str, int]]) -> None:
    """Raise InvalidArgument unless `value` is a known one of the enum `field`."""
    names = {number: name for name, number in known}
    if value not in names:
        wanted = ", ".join(names.values())
        raise InvalidArgument([Violation(field, f"{value} is unknown, one of {wanted} is needed")])


def check_count(field: str, count: int, limits: Limits) -> None:
    """Raise InvalidArgument for no text at all, or for more than a call may hold."""
    if count == 0:
        raise InvalidArgument([Violation(field, "is empty, 1 or more are needed")])
    if count > limits.max_texts:
        raise InvalidArgument(
            [
                Violation(
                    field, f"has {count} elements, at most {limits.max_texts} are allowed a call"
                )
            ]
        )


class TextCheck:
    """Checks and tokenizes texts by the options of one request."""

    def __init__(self, tokenizer: Tokenizer, limits: Limits, truncation: int) -> None:
        """Take the enum's value `truncation`. Raises InvalidArgument if it is unknown."""
        check_enum("truncation", truncation, common_pb2.Truncation.items())
        self.truncation = _TRUNCATIONS[truncation]  # None: as recorded in the bundle
        self._forbidden = truncation == common_pb2.TRUNCATION_FORBIDDEN
        self._tokenizer = tokenizer
        self._limits = limits

    def one(self, field: str, text: str) -> Encoding:
        """Tokenize one text. Raises InvalidArgument naming `field`."""
        encoding = self._encode(field, text)
        if isinstance(encoding, Violation):
            raise InvalidArgument([encoding])
        return encoding

    def all(self, field: str, texts: Sequence[str]) -> list[Encoding]:
        """Tokenize all texts. Raises InvalidArgument naming every bad one."""
        check_count(field, len(texts), self._limits)
        encodings = self.each(field, texts)
        bad = [item for item in encodings if isinstance(item, Violation)]
        if bad:
            raise InvalidArgument(bad)
        return [item for item in encodings if isinstance(item, Encoding)]

    def each(self, field: str, texts: Sequence[str]) -> list[Encoding | Violation]:
        """Tokenize the good texts; say of each bad one what is wrong."""
        return [self._encode(f"{field}[{index}]", text) for index, text in enumerate(texts)]

    def _encode(self, field: str, text: str) -> Encoding | Violation:
        most = self._limits.max_text_characters
        if len(text) > most:
            return Violation(field, f"has {len(text)} characters, at most {most} are allowed")
        encoding = self._tokenizer.encode(text, self.truncation)
        if self._forbidden and encoding.truncated_token_count:
            found = encoding.token_count + encoding.truncated_token_count
            return Violation(
                field,
                f"has {found} tokens, the model reads at most {encoding.token_count} and truncation"
                " is forbidden",
            )
        return encoding


def usage(encoding: Encoding) -> Usage:
    """Say what became of a text on its way to the model."""
    return Usage(
        character_count=encoding.character_count,
        token_count=encoding.token_count,
        truncated_token_count=encoding.truncated_token_count,
        out_of_vocabulary_count=encoding.out_of_vocabulary_count,
    )
