"""The RPCs of TokenizerService."""

from collections.abc import Sequence

from sentido.v1 import tokenizer_pb2
from sentido.v1.tokenizer_pb2 import (
    DetokenizeRequest,
    DetokenizeResponse,
    TokenizeRequest,
    TokenizeResponse,
)

from sentido_server.core.rpc import Lane, Plan, Result, Rpc, Serving, served_by
from sentido_server.rpcs.checks import SMALL_MANY, Check, bundle_of, usage
from sentido_server.rpcs.messages import TOKEN_BYTES, token_messages

_METHODS = tokenizer_pb2.DESCRIPTOR.services_by_name["TokenizerService"].methods_by_name


def prepare_tokenize(serving: Serving, request: TokenizeRequest) -> Plan:
    """Tokenize the text twice: as the model reads it, and with every word."""
    bundle, check = bundle_of(serving, request.model), Check(serving.limits)
    truncation = check.truncation(request.truncation)
    encoding = check.text("text", request.text, bundle.tokenizer, truncation)
    return Plan(bundle, [encoding], notes=bundle.tokenizer.tokens(request.text))


def reply_tokenize(_: TokenizeRequest, plan: Plan, __: Sequence[Result]) -> TokenizeResponse:
    """Give words and ids."""
    (encoding,) = plan.encodings
    return TokenizeResponse(
        tokens=token_messages(plan.notes),
        token_ids=encoding.ids.tolist(),
        usage=usage(encoding),
        served_by=served_by(plan),
    )


def prepare_detokenize(serving: Serving, request: DetokenizeRequest) -> Plan:
    """Look the ids up; the notes hold the word of each."""
    bundle, check = bundle_of(serving, request.model), Check(serving.limits)
    words = bundle.tokenizer.vocabulary
    known = f"ids of words are 1 to {len(words) - 1}"
    if request.token_ids:
        check.count("token_ids", len(request.token_ids))
        check.finish()
    for index, id in enumerate(request.token_ids):
        check.require(
            f"token_ids[{index}]",
            0 < id < len(words) and words[id] is not None,
            f"is {id}, {known}" + (", but not this one" if 0 < id < len(words) else ""),
        )
    check.finish()
    return Plan(bundle, notes=[words[id] for id in request.token_ids])


def reply_detokenize(_: DetokenizeRequest, plan: Plan, __: Sequence[Result]) -> DetokenizeResponse:
    """Give the words."""
    return DetokenizeResponse(words=plan.notes, served_by=served_by(plan))


RPCS = (
    Rpc(
        _METHODS["Tokenize"],
        prepare_tokenize,
        reply_tokenize,
        small=SMALL_MANY,
        bytes_per_byte=TOKEN_BYTES,
        lane=Lane.LOOKUP,
    ),
    Rpc(
        _METHODS["Detokenize"],
        prepare_detokenize,
        reply_detokenize,
        rows=lambda request: len(request.token_ids),
        small=SMALL_MANY,
        lane=Lane.LOOKUP,
    ),
)
