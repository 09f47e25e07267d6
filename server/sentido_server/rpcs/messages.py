"""Tokens as messages, for the RPCs that answer with them."""

from collections.abc import Iterable, Iterator

from sentido.v1.common_pb2 import Token
from sentido_bundle import Token as BundleToken

TOKEN_BYTES = 150
"""Memory that each byte of a text can take as tokens, when every other one begins a word.

Measured 120 so, and 200 in a model that reads characters, where each byte is a token.
"""


def token_messages(tokens: Iterable[BundleToken]) -> Iterator[Token]:
    """Turn tokens into messages."""
    for token in tokens:
        yield Token(
            id=token.id,
            text=token.text,
            start=token.start,
            end=token.end,
            out_of_vocabulary=token.out_of_vocabulary,
        )
