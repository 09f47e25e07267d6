"""The checks that every text passes before anything is computed."""

from collections.abc import Iterable, Sequence
from typing import Any

from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from sentido.v1 import common_pb2
from sentido.v1.common_pb2 import ModelSelector, Usage
from sentido_bundle import Bundle, CleaningError, Encoding, Tokenizer, Truncation

from sentido_server.core.faults import InvalidArgument, Violation
from sentido_server.core.rpc import RequestLimits, Serving

_TRUNCATIONS: dict[int, Truncation] = {
    common_pb2.TRUNCATION_KEEP_LAST: Truncation.PRE,
    common_pb2.TRUNCATION_KEEP_FIRST: Truncation.POST,
}

SMALL_MANY = 256
"""Bytes of a request of many texts or words that are worked on in less than a millisecond."""


def texts_of(request: Any) -> int:
    """Return the number of a request's texts."""
    return len(request.texts)


def bundle_of(serving: Serving, selector: ModelSelector) -> Bundle:
    """Return the model that a call asks for. Raises NotFound."""
    return serving.registry.find(selector.name, selector.version)


class Check:
    """Collects what is wrong with one request, so that the caller is told all of it at once.

    Used within one `prepare`, which ends it with `finish`.
    """

    def __init__(self, limits: RequestLimits) -> None:
        self._limits = limits
        self._violations: list[Violation] = []
        self._forbids_truncation = False

    def require(self, field: str, condition: bool, description: str) -> None:
        """Note `description` of `field` unless the condition holds."""
        if not condition:
            self._violations.append(Violation(field, description))

    def enum(self, field: str, value: int, enum: EnumTypeWrapper) -> None:
        """Demand that `value` of `field` is a known one of the enum."""
        if value not in enum.DESCRIPTOR.values_by_number:
            wanted = ", ".join(enum.keys())
            self.require(field, False, f"{value} is unknown, one of {wanted} is needed")

    def count(self, field: str, count: int) -> None:
        """Demand one element or more, and no more than a call may hold."""
        most = self._limits.max_texts
        self.require(field, count > 0, "is empty, 1 or more are needed")
        self.require(
            field, count <= most, f"has {count} elements, at most {most} are allowed a call"
        )

    def truncation(self, value: int) -> Truncation | None:
        """Demand a known value of the option `truncation`; return the bundle's word for it.

        None: as recorded. From now on a text that must be truncated is bad where it forbids that.
        """
        self.enum("truncation", value, common_pb2.Truncation)
        self._forbids_truncation = value == common_pb2.TRUNCATION_FORBIDDEN
        return _TRUNCATIONS.get(value)

    def finish(self) -> None:
        """Raise InvalidArgument if anything was wrong."""
        if self._violations:
            raise InvalidArgument(self._violations)

    def text(
        self, field: str, text: str, tokenizer: Tokenizer, truncation: Truncation | None
    ) -> Encoding:
        """Tokenize one text and finish."""
        violation = self._too_long(field, text)
        if violation is None:
            try:
                encoding = tokenizer.encode(text, truncation)
                violation = self._forbidden(field, encoding)
            except CleaningError as error:
                violation = Violation(field, str(error))
        if violation is not None:
            self._violations.append(violation)
        self.finish()
        return encoding

    def texts(
        self, field: str, texts: Sequence[str], tokenizer: Tokenizer, truncation: Truncation | None
    ) -> list[Encoding]:
        """Tokenize all texts of a call and finish."""
        self.count(field, len(texts))
        if len(texts) > self._limits.max_texts:
            self.finish()
        encodings = self.each(field, texts, tokenizer, truncation)
        self._violations += [item for item in encodings if isinstance(item, Violation)]
        self.finish()
        return good(encodings)

    def message(
        self, field: str, texts: Sequence[str], tokenizer: Tokenizer, truncation: Truncation | None
    ) -> list[Encoding | Violation]:
        """Finish, then tokenize the texts of a stream's message, which may be none, as `each`."""
        if texts:
            self.count(field, len(texts))
        self.finish()
        return self.each(field, texts, tokenizer, truncation)

    def each(
        self, field: str, texts: Sequence[str], tokenizer: Tokenizer, truncation: Truncation | None
    ) -> list[Encoding | Violation]:
        """Tokenize the good texts; say of each bad one what is wrong, without noting it."""
        too_long = [self._too_long(f"{field}[{i}]", text) for i, text in enumerate(texts)]
        short = [text for text, violation in zip(texts, too_long, strict=True) if not violation]
        if tokenizer.cleaner is None and not self._forbids_truncation:
            good_ones = iter(tokenizer.encode_all(short, truncation))
            return [violation or next(good_ones) for violation in too_long]
        encodings = iter(tokenizer.encode_each(short, truncation))
        return [
            violation or self._judged(f"{field}[{i}]", next(encodings))
            for i, violation in enumerate(too_long)
        ]

    def _judged(self, field: str, found: Encoding | CleaningError) -> Encoding | Violation:
        """Return what is wrong with a text that was tokenized, or its encoding."""
        if isinstance(found, CleaningError):
            return Violation(field, str(found))
        return self._forbidden(field, found) or found

    def _too_long(self, field: str, text: str) -> Violation | None:
        most = self._limits.max_text_characters
        if len(text) <= most:
            return None
        return Violation(field, f"has {len(text)} characters, at most {most} are allowed")

    def _forbidden(self, field: str, encoding: Encoding) -> Violation | None:
        """Describe what is wrong with a text that had to be truncated where that is forbidden."""
        if not (self._forbids_truncation and encoding.truncated_token_count):
            return None
        found = encoding.token_count + encoding.truncated_token_count
        return Violation(
            field,
            f"has {found} tokens, the model reads at most {encoding.token_count} and truncation is"
            " forbidden",
        )


def good(checked: Iterable[Encoding | Violation]) -> list[Encoding]:
    """Give the encodings of the good texts of a stream's message."""
    return [item for item in checked if isinstance(item, Encoding)]


def usage(encoding: Encoding) -> Usage:
    """Say what became of a text on its way to the model."""
    made = Usage()
    set_usage(made, encoding)
    return made


def set_usage(usage: Usage, encoding: Encoding) -> None:
    """Fill in what became of a text on its way to the model."""
    usage.character_count = encoding.character_count
    usage.token_count = encoding.token_count
    usage.truncated_token_count = encoding.truncated_token_count
    usage.out_of_vocabulary_count = encoding.out_of_vocabulary_count
