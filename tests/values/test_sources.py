"""What `--bundle` may say: a folder, or a name and a folder."""

from pathlib import Path

import pytest
from sentido_server.config import Config
from sentido_server.sources import Source


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("bundles/mine", Source(Path("bundles/mine"))),
        ("mine=bundles/1", Source(Path("bundles/1"), "mine")),
        ("mine=a=b", Source(Path("a=b"), "mine")),
        ("mine=/a", Source(Path("/a"), "mine")),
        ("./a=b", Source(Path("a=b"))),
        ("/bundles/a=b", Source(Path("/bundles/a=b"))),
        ("bundles/a=b", Source(Path("bundles/a=b"))),
        ("A-1._x=b", Source(Path("b"), "A-1._x")),
    ],
)
def test_a_name_may_stand_before_a_folder(text: str, source: Source) -> None:
    assert Config.load(["--bundle", text], {}).sources() == [source]
    assert Config.load([], {"SENTIDO_BUNDLE": f"{text}:x=y"}).sources()[0] == source


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("my model=b", "the name is 'my model': 1 to 64 letters, digits, '.', '_' and '-' are"),
        ("my model=b", "to name a folder, write ./my model=b"),
        ("=b", "the name is '': 1 to 64 letters"),
        ("-a=b", "the name is '-a': 1 to 64"),
        (f"{'a' * 65}=b", "1 to 64 letters"),
        ("mine=", "after mine= the bundle's folder is missing"),
    ],
)
def test_what_cannot_be_a_name_is_refused_with_what_to_write(
    text: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        Config.load([f"--bundle={text}"], {})
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"sentido-server: error: --bundle {text!r}: ")
    assert message in said
    assert said.count("\n") == 1


def test_names_and_odd_folders_are_printed_so_that_they_can_be_read_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["--bundle", "./a=b", "--bundle", "mine=c"]
    with pytest.raises(SystemExit):
        Config.load([*argv, "--print-config"], {})
    file = tmp_path / "sentido.toml"
    file.write_text(capsys.readouterr().out)
    assert Config.load(["--config", str(file)], {}).sources() == [
        Source(Path("a=b")),
        Source(Path("c"), "mine"),
    ]
