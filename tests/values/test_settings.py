"""The server's settings: where they may come from, who wins, and what is said of a bad one."""

import dataclasses
import tomllib
from pathlib import Path

import pytest
from sentido_bundle.settings import Setting, SettingError, declared
from sentido_client import environment
from sentido_client.environment import from_environment
from sentido_server import variables
from sentido_server.config import Config
from sentido_server.origins import unknown_variables, variable


def refused(capsys: pytest.CaptureFixture[str], *argv: str, **environ: str) -> str:
    """Load settings that are bad; give what is said about them."""
    with pytest.raises(SystemExit) as caught:
        Config.load(argv, environ)
    assert caught.value.code == 2
    return capsys.readouterr().err.rpartition("sentido-server: error: ")[2].rstrip("\n")


def printed(capsys: pytest.CaptureFixture[str], *argv: str, **environ: str) -> str:
    with pytest.raises(SystemExit) as caught:
        Config.load([*argv, "--print-config"], environ)
    assert caught.value.code == 0
    return capsys.readouterr().out


def test_a_flag_wins_over_a_variable_and_that_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "sentido.toml"
    file.write_text("max_texts = 1\nthreads = 1\nmax_message_bytes = 2048\n")
    environ = {"SENTIDO_MAX_TEXTS": "2", "SENTIDO_THREADS": "2"}
    config = Config.load(["--config", str(file), "--max-texts", "3"], environ)
    assert (config.max_texts, config.threads, config.max_message_bytes) == (3, 2, 2048)
    assert config.max_queued_tokens == Config.max_queued_tokens
    by_variable = Config.load([], {**environ, "SENTIDO_CONFIG": str(file)})
    assert by_variable == dataclasses.replace(config, max_texts=2)


def test_several_bundles_are_said_in_each_way(tmp_path: Path) -> None:
    file = tmp_path / "sentido.toml"
    file.write_text('bundle = ["a", "b"]')
    for config in (
        Config.load(["--bundle", "a", "--bundle", "b"], {}),
        Config.load([], {"SENTIDO_BUNDLE": "a:b"}),
        Config.load(["--config", str(file)], {}),
    ):
        assert config.bundle == ("a", "b")


def test_one_bundle_in_a_file_is_a_path(tmp_path: Path) -> None:
    file = tmp_path / "sentido.toml"
    file.write_text('bundle = "a:b"')  # as it stands: only a variable is separated
    assert Config.load(["--config", str(file)], {}).bundle == ("a:b",)


def test_what_is_printed_can_be_read_back_and_says_where_it_is_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = 'unix:/tmp/a "quoted" \\ \x7f é 😀 socket'
    argv = ["--max-texts", "9", "--listen", odd]
    environ = {"SENTIDO_THREADS": "3"}
    file = tmp_path / "sentido.toml"
    file.write_text("drain_seconds = 7")
    text = printed(capsys, "--config", str(file), *argv, **environ)
    assert "max_texts = 9  # --max-texts\n" in text
    assert "threads = 3  # SENTIDO_THREADS\n" in text
    assert f"drain_seconds = 7  # {file}: drain_seconds\n" in text
    assert "max_text_characters = 1000000  # default\n" in text
    assert text.count("\n") == len([*declared(Config)])
    again = tmp_path / "again.toml"
    again.write_text(text)
    expected = Config.load(["--config", str(file), *argv], environ)
    assert Config.load(["--config", str(again)], {}) == expected
    assert tomllib.loads(text)["listen"] == odd


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["--reflection"], "reflection = true  # --reflection"),
        (["--no-reflection"], "reflection = false  # --no-reflection"),
        (["--insecure-tokens"], "insecure_tokens = true  # --insecure-tokens"),
        (["--no-insecure-tokens"], "insecure_tokens = false  # --no-insecure-tokens"),
    ],
)
def test_what_is_printed_names_the_flag_that_was_given(
    argv: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert line in printed(capsys, *argv).splitlines()


@pytest.mark.parametrize("name", ["a\nthreads = 9", "a\rb", "a\x7f\x1b[31m", "a\udcff", "a\u2028"])
def test_a_file_of_any_name_is_printed_as_toml(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / name
    file.write_text("max_texts = 7")
    text = printed(capsys, "--config", str(file))
    (tmp_path / "again.toml").write_text(text, encoding="utf-8")
    assert Config.load(["--config", str(tmp_path / "again.toml")], {}).max_texts == 7
    (line,) = (line for line in text.splitlines() if line.startswith("max_texts"))
    assert line == f"max_texts = 7  # {tmp_path}/{repr(name)[1:-1]}: max_texts"


def test_a_path_that_toml_cannot_hold_is_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    said = "is not UTF-8, and so cannot be printed as TOML"
    for flag in ("--bundle", "--token-file"):
        assert refused(capsys, "--print-config", flag, "a\udcff") == f"{flag}: {said}"
    environ = {"SENTIDO_BUNDLE": "a\udcff"}
    assert refused(capsys, "--print-config", **environ) == f"SENTIDO_BUNDLE: {said}"
    assert Config.load([], environ).bundle == ("a\udcff",)  # a folder may be called so


@pytest.mark.parametrize("toml", ["[" * 3000, "bundle = " + "[" * 3000, "a." * 3000 + "a = 1"])
def test_a_file_that_is_nested_too_deeply_is_named(
    toml: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "deep.toml"
    file.write_text(toml)
    assert refused(capsys, "--config", str(file)).startswith(f"{file}")


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("max_text = 7", "{}: there is no setting max_text; did you mean max_texts?"),
        ("max-texts = 7", "{}: there is no setting max-texts; did you mean max_texts?"),
        ("[server]\nthreads = 1", "{}: there is no setting server"),
        ("max_texts = 0", "{}: max_texts: 0 is not a whole number from 1 to 2147483647"),
        ("max_texts = true", "{}: max_texts: true is not a whole number from 1 to 2147483647"),
        (
            'max_texts = "7"',
            "{}: max_texts: '7' in quotes is a string, not a whole number from 1 to 2147483647",
        ),
        (
            'reflection = "true"',
            "{}: reflection: 'true' in quotes is a string, not true or false",
        ),
        ('log_format = "xml"', "{}: log_format: 'xml' is not one of auto, json, text"),
        ("log_format = ['json']", "{}: log_format: ['json'] is not one of auto, json, text"),
        ("listen = 50051", "{}: listen: 50051 is not a string"),
        ("bundle = 3", "{}: bundle: 3 is not a path"),
        ("bundle = []", "{}: bundle: [] is not a path"),
        ("bundle = ['']", "{}: bundle: '' is not a path"),
        ("bundle = ['a', '']", "{}: bundle: '' is not a path"),
        ("max_texts", "{} is not TOML: Expected '=' after a key in a key/value pair"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(
    toml: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "sentido.toml"
    file.write_text(toml)
    assert refused(capsys, "--config", str(file)).startswith(message.format(file))


def test_a_path_that_is_empty_between_others_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    for paths in ("a::b", ":", "a:"):
        assert refused(capsys, SENTIDO_BUNDLE=paths) == "SENTIDO_BUNDLE: '' is not a path"
    assert refused(capsys, "--bundle", "a", "--bundle", "") == "--bundle: '' is not a path"


def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "nope.toml"
    message = f"cannot read the settings in {missing}: No such file or directory"
    assert refused(capsys, "--config", str(missing)) == message
    assert refused(capsys, SENTIDO_CONFIG=str(missing)) == message
    (tmp_path / "latin").write_bytes(b'listen = "\xe9"')
    assert " is not TOML: 'utf-8'" in refused(capsys, "--config", str(tmp_path / "latin"))
    assert refused(capsys, "--config", "") == "--config: '' is not a path"


def test_a_number_longer_than_python_reads_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    message = refused(capsys, "--max-texts", "9" * 5000)
    assert message.startswith("--max-texts: '999")
    assert message.endswith("9' is not a whole number from 1 to 2147483647")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("bundle", "a b=x", "{} 'a b=x': the name is 'a b': 1 to 64 letters"),
        ("tls_cert", "a", "{} needs --tls-key beside it"),
        ("tls_key", "a", "{} needs --tls-cert beside it"),
        ("tls_client_ca", "a", "{} needs --tls-cert and --tls-key"),
    ],
)
def test_what_does_not_fit_is_named_by_where_it_is_from(
    name: str, value: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flag, variable = f"--{name.replace('_', '-')}", f"SENTIDO_{name.upper()}"
    file = tmp_path / "sentido.toml"
    file.write_text(f"{name} = {value!r}")
    assert refused(capsys, flag, value).startswith(message.format(flag))
    assert refused(capsys, **{variable: value}).startswith(message.format(variable))
    said = refused(capsys, "--config", str(file))
    assert said.startswith(message.format(f"{file}: {name}"))
    with pytest.raises(SettingError, match="^" + message.format(flag)):
        Config(**{name: (value,) if name == "bundle" else Path(value)})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["listen", "metrics_listen", "health_listen", "otlp_endpoint"])
def test_a_string_that_is_not_utf8_is_refused(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for value in ("\udcff:1", "unix:/tmp/\udcff", "http://\udcff:1"):
        said = f"SENTIDO_{name.upper()}: {value!r} is not UTF-8"
        assert refused(capsys, **{f"SENTIDO_{name.upper()}": value}) == said


def test_a_flag_is_never_guessed(capsys: pytest.CaptureFixture[str]) -> None:
    assert "there is no flag --max-text; did you" in refused(capsys, "--max-text", "7")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("SENTIDO_PRECISON", "SENTIDO_PRECISION"),  # a letter is missing
        ("SENTIDO_THREDS", "SENTIDO_THREADS"),
        ("SENTIDO_TRHEADS", "SENTIDO_THREADS"),  # two are the other way round
        ("SENTIDO_BUNDLES", "SENTIDO_BUNDLE"),  # one too many
        ("SENTIDO_MAXTEXTS", "SENTIDO_MAX_TEXTS"),
        ("SENTIDO_MAX-TEXTS", "SENTIDO_MAX_TEXTS"),
        ("SENTIDO_LISTEN_", "SENTIDO_LISTEN"),
        ("SENTDIO_LISTEN", "SENTIDO_LISTEN"),  # not in the last part
        ("sentido_listen", "SENTIDO_LISTEN"),  # variables have a case
        ("SENTIDO_CONFG", "SENTIDO_CONFIG"),
    ],
)
def test_a_variable_that_is_nearly_a_settings_is_refused(
    given: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    message = f"there is no setting {given}; did you mean {meant}?"
    assert refused(capsys, **{given: "1"}) == message
    assert refused(capsys, **{given: "1", meant: "1"}) == message
    Config.load([], {given: ""})  # an empty one is none


def test_a_variable_that_is_like_no_setting_is_only_named() -> None:
    environ = {"SENTIDO_FOO": "1", "SENTIDO_SPEED": "2", "PATH": "/bin", "SENTIMENT": "3"}
    assert Config.load([], environ) == Config()
    assert unknown_variables(Config, environ) == ["SENTIDO_FOO", "SENTIDO_SPEED"]


@pytest.mark.parametrize(
    "service",
    [
        *("SENTIDO", "SENTIDO_STAGING", "SENTIDO_MAX_TEXT", "SENTIDO_CONNECT", "SENTIDO_ADDRESS"),
        *("SENTIDO_CONNECT_CERT", "SENTIDO_CONNECT_TOKEN"),
    ],
)
def test_the_variables_that_kubernetes_makes_of_a_service_are_silent(service: str) -> None:
    port = f"{service}_PORT_50051_TCP"
    environ = {
        **{f"{service}_SERVICE_{name}": "50051" for name in ("HOST", "PORT", "PORT_GRPC")},
        **dict.fromkeys((f"{service}_PORT", port), "tcp://10.0.0.1:50051"),
        **{f"{port}_{part}": "50051" for part in ("PROTO", "PORT", "ADDR")},
    }
    assert Config.load([], environ) == Config()
    assert unknown_variables(Config, environ) == []
    assert from_environment(environ) == {}


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("SENTIDO_CONNECT_PORT", True),
        ("SENTIDO_PORT_8500_TCP", True),
        ("SENTIDO_PORT_8500_TCP_ADDR", True),
        ("SENTIDO_SERVICE_PORT_GRPC", True),
        ("SENTIDO_PORTS", False),
        ("SENTIDO_CONNECT_POST", False),
        ("SENTIDO_SERVICE_HOSTS", False),
        ("SENTIDO_PORT_\u0661_TCP", False),
        ("sentido_connect_port", False),
        ("SENTIMENT_PORT", False),
    ],
)
def test_client_and_server_know_the_variables_of_kubernetes_alike(name: str, made: bool) -> None:
    assert (environment.is_of_kubernetes(name), variables.is_of_kubernetes(name)) == (made, made)


@pytest.mark.parametrize("setting", [*declared(Config)], ids=lambda setting: str(setting.name))
def test_the_file_of_a_secret_can_be_named_but_no_secret(setting: Setting) -> None:
    assert variable(setting) == "SENTIDO_" + setting.name.upper()
    secret = {"key", "token", "password", "secret"} & set(setting.name.split("_"))
    if secret and setting.type is not bool:
        assert setting.type == Path | None, setting.flag
