"""TLS and tokens in containers, as docs/deploying.md says."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from certificates import authority, certificate
from conftest import ROOT
from engine import TAG, Project, docker, project
from sentido_client import AuthenticationError, Client
from waiting import wait_for

pytestmark = [pytest.mark.needs("docker engine"), pytest.mark.usefixtures("images")]
TOKEN, NEXT_TOKEN = "t" * 32, "n" * 32


def documented() -> str:
    """Return the override file that the document shows."""
    text = (ROOT / "docs" / "deploying.md").read_text()
    (block,) = re.findall(r"```yaml\n([^`]*SENTIDO_TLS_CERT[^`]*)```", text)
    return str(block)


def put_tokens(folder: Path, token: str) -> None:
    """Replace the file of tokens by renaming it."""
    (folder / "new").write_text(f"call {token}\n")
    (folder / "new").replace(folder / "tokens")


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("secrets")
    ca, _ = authority(folder, "ca")
    certificate(ca, folder, "server").key.chmod(0o444)  # only root could give it to another user
    folder.chmod(0o755)
    put_tokens(folder, TOKEN)
    return folder


@pytest.fixture(scope="module")
def up(secrets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    override = tmp_path_factory.mktemp("compose") / "docker-compose.override.yml"
    override.write_text(documented().replace("./secrets", str(secrets)))
    with project("tls", "docker-compose.yml", str(override)) as up:
        up.compose("up", "--detach", "--wait")  # healthy, or this fails
        yield up


def client(up: Project, secrets: Path, token: str | None) -> Client:
    port = up.compose("port", "server", "50051").strip().rpartition(":")[2]
    return Client(f"localhost:{port}", tls_ca=secrets / "ca.pem", token=token)


def test_the_documented_override_serves_tls_to_those_with_a_token(
    up: Project, secrets: Path
) -> None:
    with client(up, secrets, TOKEN) as caller:
        assert caller.predict("A wonderful little film.").label == "positive"
    with client(up, secrets, None) as stranger, pytest.raises(AuthenticationError):
        stranger.predict("Good.")


def test_a_file_that_is_replaced_by_renaming_is_seen_in_the_container(
    up: Project, secrets: Path
) -> None:
    put_tokens(secrets, NEXT_TOKEN)

    def answers() -> bool:
        with client(up, secrets, NEXT_TOKEN) as caller:
            try:
                return caller.predict("Good.").label != ""
            except AuthenticationError:
                return False

    wait_for(answers)


def test_a_file_that_the_containers_user_may_not_read_is_said_with_that_user(
    tmp_path: Path,
) -> None:
    (tmp_path / "tokens").write_text(f"call {TOKEN}\n")
    (tmp_path / "tokens").chmod(0o600)
    server = [f"sentido-server:{TAG}", "--token-file", "/secrets/tokens"]
    with pytest.raises(AssertionError, match="tokens: Permission denied for user 10001"):
        docker("run", "--rm", "--volume", f"{tmp_path}:/secrets:ro", *server)
