"""The RPC of TokenizerService."""

from collections.abc import Sequence

from sentido.v1.tokenizer_pb2 import TokenizeRequest, TokenizeResponse

from sentido_server.rpc import Plan, Result, Rpc, State, served_by
from sentido_server.texts import TextCheck, usage
from sentido_server.tokens import token_messages

SERVICE = "sentido.v1.TokenizerService"


def prepare_tokenize(state: State, request: TokenizeRequest) -> Plan:
    """Tokenize the text twice: as the model reads it, and with every word."""
    bundle = state.catalog.find(request.model)
    check = TextCheck(bundle.tokenizer, state.limits, request.truncation)
    encoding = check.one("text", request.text)
    return Plan(bundle, notes=(encoding, bundle.tokenizer.tokens(request.text)))


def reply_tokenize(_: TokenizeRequest, plan: Plan, __: Sequence[Result]) -> TokenizeResponse:
    """Give words and ids."""
    encoding, tokens = plan.notes
    return TokenizeResponse(
        tokens=token_messages(tokens),
        token_ids=encoding.ids.tolist(),
        usage=usage(encoding),
        served_by=served_by(plan),
    )


RPCS = (Rpc(SERVICE, "Tokenize", TokenizeRequest, prepare_tokenize, reply_tokenize),)
