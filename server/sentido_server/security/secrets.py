"""Tokens and certificates of a server, from the files that it is told of."""

import grpc

from sentido_server import log
from sentido_server.address import is_local
from sentido_server.config import Config, StartError
from sentido_server.security import tls
from sentido_server.security.bearer import Access
from sentido_server.security.reloading_file import FileError, is_open_to_all


def read_secrets(config: Config) -> tuple[Access, grpc.ServerCredentials | None]:
    """Read tokens and certificates, and warn of how they are used. Raises StartError.

    The address to listen on is one that was checked.
    """
    for file in (config.token_file, config.tls_key):
        if file is not None and is_open_to_all(file):
            log.warning("a secret can be read by everyone on the machine", file=str(file))
    try:
        access = Access(config.token_file)
        if config.tls_cert is not None and config.tls_key is not None:
            return access, tls.credentials(config.tls_cert, config.tls_key, config.tls_client_ca)
    except FileError as error:
        raise StartError(str(error)) from error
    if not is_local(config.listen):
        if access.asks and not config.insecure_tokens:
            raise StartError(
                f"tokens would come to {config.listen} over plain text, where others can read them:"
                " give --tls-cert and --tls-key, listen on 127.0.0.1 behind a proxy, or take the"
                " risk with --insecure-tokens"
            )
        log.warning(
            "plain text beyond this machine",
            address=config.listen,
            reason="texts and answers can be read and changed on their way: give --tls-cert and"
            " --tls-key, or listen on 127.0.0.1 behind a proxy",
        )
    return access, None
