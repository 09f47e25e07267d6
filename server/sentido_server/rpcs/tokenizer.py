"""The RPC of TokenizerService."""

from collections.abc import Sequence

from sentido.v1.tokenizer_pb2 import TokenizeRequest, TokenizeResponse

from sentido_server.core.rpc import Plan, Result, Rpc, State, served_by
from sentido_server.rpcs.checks import SMALL_MANY, Check, usage
from sentido_server.rpcs.messages import TOKEN_BYTES, token_messages

SERVICE = "sentido.v1.TokenizerService"


def prepare_tokenize(state: State, request: TokenizeRequest) -> Plan:
    """Tokenize the text twice: as the model reads it, and with every word."""
    bundle, check = state.catalog.find(request.model), Check(state.limits)
    check.truncation(request.truncation)
    encoding = check.text("text", request.text, bundle.tokenizer, request.truncation)
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


RPCS = (
    Rpc(
        SERVICE,
        "Tokenize",
        TokenizeRequest,
        prepare_tokenize,
        reply_tokenize,
        small=SMALL_MANY,
        bytes_per_byte=TOKEN_BYTES,
        queues=False,
    ),
)
