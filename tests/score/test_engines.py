"""The engines give the same rows, whatever happens to what they depend on."""

import os
import pickle
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import config, running
from processes import server
from ray_programs import BUNDLE_GONE, CLUSTER, MAP_BATCHES
from scoring import SCORE, kill_and_resume, sentido_score, write_jsonl, write_parquet
from sentido_bundle import Bundle, default_bundle
from sentido_score import Options, ScoreError, Scorer, Servers, score, score_batches
from variants import copy
from waiting import PATIENCE, wait_for

AWKWARD = ["", "zzzz qqqq", "good " * 700, "Ünïcode, 映画 and 🎬", 'a "quote"\nand a line']


@pytest.fixture(scope="module")
def remote() -> Iterator[str]:
    with running(config()) as address:
        yield address


@pytest.fixture(scope="module")
def texts(reviews: list[str]) -> list[str]:
    return [*reviews[::40], *AWKWARD]


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[str]:
    """A cluster of this machine: started once, since that takes longer than to score."""
    token = secrets.token_hex(32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", token)
        with subprocess.Popen(
            [sys.executable, "-c", CLUSTER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
            process.communicate()


@pytest.mark.parametrize("embed", [None, "hidden", "mean"])
def test_a_server_gives_the_rows_that_this_machine_gives(
    embed: str | None, tmp_path: Path, texts: list[str], remote: str
) -> None:
    lines = write_jsonl(tmp_path / "in.jsonl", texts)
    table = write_parquet(tmp_path / "in.parquet", [*texts, None])
    options = Options(embed=embed, part_rows=200, all_probabilities=True)
    for path in (lines, table):
        for engine in ("local", "remote"):
            out = tmp_path / f"{engine}{path.suffix}"
            score(path, out=out, options=options, engine=engine, servers=Servers(remote))
    assert (tmp_path / "local.jsonl").read_bytes() == (tmp_path / "remote.jsonl").read_bytes()
    tables = [pq.read_table(tmp_path / f"{name}.parquet") for name in ("local", "remote")]
    assert tables[0].equals(tables[1])


def test_a_text_that_only_the_server_refuses_has_its_words(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "in.jsonl", ["fine", "x" * 60, "good"])
    with running(config(max_text_characters=50)) as address:
        flags = ("--engine", "remote", "--address", address, "--embed", "hidden")
        sentido_score(path, "--out", tmp_path / "out.parquet", *flags, code=3)
    found = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert [row["error"] for row in found] == [
        None,
        "the text has 60 characters, at most 50 are allowed",
        None,
    ]
    assert [row["embedding"] is None for row in found] == [False, True, False]
    assert [row["label"] is None for row in found] == [False, True, False]


def test_a_server_that_cannot_do_what_is_asked_is_said_at_once(tmp_path: Path, remote: str) -> None:
    path = write_jsonl(tmp_path / "in.jsonl", ["fine"])
    options, out = Options(precision="int8"), tmp_path / "o.jsonl"
    with pytest.raises(ScoreError, match="computes in fp32, not in int8"):
        score(path, out=out, options=options, engine="remote", servers=Servers(remote))
    flags = ("--engine", "remote", "--address", "127.0.0.1:1")
    result = sentido_score(path, "--out", out, *flags, code=1)
    assert b"no server is ready at 127.0.0.1:1" in result.stderr


def test_a_server_that_wants_a_token_gets_it(tmp_path: Path) -> None:
    path, out = write_jsonl(tmp_path / "in.jsonl", ["fine"]), tmp_path / "out.jsonl"
    (tmp_path / "tokens").write_text(f"call {'t' * 40}\n")
    (tmp_path / "token").write_text(f"{'t' * 40}\n")
    for file in ("tokens", "token"):
        (tmp_path / file).chmod(0o600)
    with server("--token-file", str(tmp_path / "tokens")) as one:
        flags = ("--engine", "remote", "--address", one.address)
        result = sentido_score(path, "--out", out, *flags, code=1)
        assert b"token" in result.stderr
        sentido_score(path, "--out", out, *flags, "--token-file", tmp_path / "token")
    result = sentido_score(path, "--out", out, *flags, "--token-file", "/nowhere", code=1)
    assert b"token_file: cannot read /nowhere" in result.stderr


def test_a_server_that_stops_and_comes_back_is_waited_for(
    tmp_path: Path, reviews: list[str]
) -> None:
    path, out = write_jsonl(tmp_path / "in.jsonl", reviews[::4]), tmp_path / "out.jsonl"
    score(path, out=tmp_path / "local.jsonl")
    with server("--threads", "1") as first:  # so that it is not done before it is killed
        address = first.address
        command = [SCORE, str(path), "--out", str(out), "--engine", "remote"]
        command += ["--address", address, "--part-rows", "500"]
        with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
            assert process.stderr is not None
            first.wait_for("call")
            first.process.kill()
            first.process.wait()
            assert b"waiting for the server" in process.stderr.readline()
            with server("--listen", address):
                said = process.communicate(timeout=PATIENCE)[1]
                assert process.returncode == 0, said
                # once for all windows that wait; one may just miss the server
                assert said.count(b"waiting for the server") <= 1
    assert out.read_bytes() == (tmp_path / "local.jsonl").read_bytes()


def test_runs_on_a_server_that_are_killed_go_on_to_the_same_output(
    tmp_path: Path, reviews: list[str], remote: str, request: pytest.FixtureRequest
) -> None:
    path, out = write_jsonl(tmp_path / "in.jsonl", reviews[::5]), tmp_path / "out.jsonl"
    score(path, out=tmp_path / "local.jsonl")
    flags = ["--engine", "remote", "--address", remote, "--part-rows", "300"]
    kill_and_resume([path, *flags], out, request.config.getoption("--score-kills"))
    assert out.read_bytes() == (tmp_path / "local.jsonl").read_bytes()


def test_a_run_may_go_on_with_another_engine(
    tmp_path: Path, reviews: list[str], remote: str
) -> None:
    path, out = write_jsonl(tmp_path / "in.jsonl", reviews[:900]), tmp_path / "out.jsonl"

    class EnoughError(Exception):
        pass

    def stop(*_: object) -> None:
        if (tmp_path / "out.jsonl.parts" / "part-00000.jsonl").exists():
            raise EnoughError

    options = Options(part_rows=300)
    with pytest.raises(EnoughError):
        score(path, out=out, options=options, engine="remote", servers=Servers(remote), watch=stop)
    score(path, out=out, options=options, resume=True)
    score(path, out=tmp_path / "local.jsonl")
    assert out.read_bytes() == (tmp_path / "local.jsonl").read_bytes()


def test_a_cluster_gives_the_rows_that_this_machine_gives(
    tmp_path: Path, texts: list[str], ray_cluster: str
) -> None:
    path = write_parquet(tmp_path / "in.parquet", [*texts, None])
    for flags in (("local",), ("ray", "--ray-address", ray_cluster)):
        out = tmp_path / f"{flags[0]}.parquet"
        more = ("--embed", "hidden", "--part-rows", "250")
        sentido_score(path, "--out", out, "--engine", *flags, *more, code=3)
    tables = [pq.read_table(tmp_path / f"{name}.parquet") for name in ("local", "ray")]
    assert tables[0].equals(tables[1])


@pytest.mark.nightly
def test_runs_on_a_cluster_that_are_killed_go_on_to_the_same_output(
    tmp_path: Path, reviews: list[str], ray_cluster: str, request: pytest.FixtureRequest
) -> None:
    kills = request.config.getoption("--score-kills")
    kills = kills if kills > 8 else 1  # each takes some seconds
    rows = reviews[::5] if kills == 1 else reviews  # so that there is something left to kill
    path, out = write_jsonl(tmp_path / "in.jsonl", rows), tmp_path / "out.jsonl"
    score(path, out=tmp_path / "local.jsonl")
    flags = ["--engine", "ray", "--ray-address", ray_cluster, "--part-rows", "300"]
    kill_and_resume([path, *flags], out, kills, most=5.0)
    assert out.read_bytes() == (tmp_path / "local.jsonl").read_bytes()


@pytest.mark.nightly
def test_actors_get_the_bundle_that_the_run_began_with_whatever_lies_in_its_folder(
    tmp_path: Path, texts: list[str], ray_cluster: str
) -> None:
    path = write_parquet(tmp_path / "in.parquet", texts)
    folder, other = copy(tmp_path / "bundle"), copy(tmp_path / "other", labels=["x", "y"])
    empty, replaced = tmp_path / "empty.parquet", tmp_path / "replaced.parquet"
    arguments = map(str, (path, folder, other, ray_cluster, empty, replaced))
    command = [sys.executable, "-c", BUNDLE_GONE, *arguments]
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
    scored = pa.Table.from_batches(score_batches(path))
    assert pq.read_table(empty).equals(scored)
    assert pq.read_table(replaced).equals(scored)
    assert Bundle.load(folder).labels == ("x", "y")  # it was replaced


def test_a_cluster_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    path, out = write_jsonl(tmp_path / "in.jsonl", ["fine"]), tmp_path / "out.jsonl"
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        addresses = {
            "127.0.0.1:1": b"Connection refused",
            f"127.0.0.1:{deaf.getsockname()[1]}": b"no answer within 6 seconds",
        }
        for address, reason in addresses.items():
            flags = ("--engine", "ray", "--ray-address", address)
            result = sentido_score(path, "--out", out, *flags, code=1)
            assert b"no Ray cluster at " + address.encode() + b": " in result.stderr
            assert reason in result.stderr
    assert not Path(f"{out}.parts").exists()


@pytest.mark.nightly
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_on_a_cluster_is_ended_by_a_signal(
    number: signal.Signals, code: int, tmp_path: Path, reviews: list[str], ray_cluster: str
) -> None:
    path, out = write_jsonl(tmp_path / "in.jsonl", reviews), tmp_path / "out.jsonl"
    command = [SCORE, str(path), "--out", str(out), "--part-rows", "200"]
    command += ["--engine", "ray", "--ray-address", ray_cluster]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        wait_for((tmp_path / "out.jsonl.parts" / "part-00000.jsonl").exists)
        process.send_signal(number)
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, said
    assert b"the same command with --resume goes on" in said
    assert b"Traceback" not in said


def test_a_server_that_is_deaf_is_said_at_once(tmp_path: Path) -> None:
    path, out = write_jsonl(tmp_path / "in.jsonl", ["fine"]), tmp_path / "out.jsonl"
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        address = f"127.0.0.1:{deaf.getsockname()[1]}"
        result = sentido_score(
            path, "--out", out, "--engine", "remote", "--address", address, code=1
        )
    assert b"in time" in result.stderr or b"no server is ready" in result.stderr
    assert not Path(f"{out}.parts").exists()


def test_a_run_is_ended_by_a_signal_while_its_server_stands_still(
    tmp_path: Path, reviews: list[str]
) -> None:
    path, out = write_jsonl(tmp_path / "in.jsonl", reviews), tmp_path / "out.jsonl"
    with server("--threads", "1") as one:
        command = [SCORE, str(path), "--out", str(out), "--engine", "remote"]
        command += ["--address", one.address, "--part-rows", "200"]
        with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
            wait_for((tmp_path / "out.jsonl.parts" / "part-00000.jsonl").exists)
            one.process.send_signal(signal.SIGSTOP)
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 143, said
    assert b"Traceback" not in said


@pytest.mark.nightly
def test_a_scorer_is_what_map_batches_takes(
    tmp_path: Path, texts: list[str], ray_cluster: str
) -> None:
    path, out = write_parquet(tmp_path / "in.parquet", texts), tmp_path / "out.parquet"
    command = [sys.executable, "-c", MAP_BATCHES, str(path), str(out), ray_cluster]
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
    assert pq.read_table(out).equals(pa.Table.from_batches(score_batches(path)))


def test_a_scorer_is_what_map_in_arrow_takes(tmp_path: Path, texts: list[str]) -> None:
    path = write_parquet(tmp_path / "in.parquet", [*texts, None])
    scorer: Scorer = pickle.loads(pickle.dumps(Scorer(default_bundle(), Options(embed="mean"))))
    source = pq.ParquetFile(path).iter_batches(100)
    found = pa.Table.from_batches(map(scorer, source))
    assert found.equals(pa.Table.from_batches(score_batches(path, options=Options(embed="mean"))))
    assert pickle.loads(pickle.dumps(scorer))._threads == 1  # also once it has loaded


def test_an_engine_whose_package_is_missing_says_what_to_install(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "in.jsonl", ["fine"])
    for engine, package in (("remote", "sentido_client"), ("ray", "ray")):
        program = f"import sys; sys.modules[{package!r}] = None\n"
        program += "from sentido_score.main import main\n"
        program += f"sys.exit(main([{str(path)!r}, '--out', '-', '--engine', {engine!r}]))"
        result = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60)
        assert result.returncode == 1, result.stderr
        assert f"'./score[{engine}]' in Sentido's folder".encode() in result.stderr


def test_int8_gives_what_the_bundle_gives_in_int8(tmp_path: Path, texts: list[str]) -> None:
    path = write_parquet(tmp_path / "in.parquet", texts)
    fp32, int8 = (
        score(path, out=tmp_path / f"{name}.parquet", options=Options(precision=name))
        for name in ("fp32", "int8")
    )
    assert (fp32.precision, int8.precision) == ("fp32", "int8")
    columns = [
        pq.read_table(tmp_path / f"{name}.parquet")["probability"].to_numpy()
        for name in ("fp32", "int8")
    ]
    assert 0 < abs(columns[0] - columns[1]).max() < 0.1


def test_the_environment_names_the_server(tmp_path: Path, remote: str) -> None:
    path = write_jsonl(tmp_path / "in.jsonl", ["fine"])
    result = subprocess.run(
        [SCORE, str(path), "--out", str(tmp_path / "o.jsonl"), "--engine", "remote"],
        env={**os.environ, "SENTIDO_ADDRESS": remote},
        capture_output=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr


def test_a_variable_that_is_nearly_the_servers_is_an_error_where_servers_are_asked(
    tmp_path: Path,
) -> None:
    path = write_jsonl(tmp_path / "in.jsonl", ["fine"])
    result = subprocess.run(
        [SCORE, str(path), "--out", str(tmp_path / "o.jsonl"), "--engine", "remote"],
        env={**os.environ, "SENTIDO_ADRESS": "localhost:1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (result.returncode, result.stderr) == (
        1,
        "sentido-score: there is no variable SENTIDO_ADRESS; did you mean SENTIDO_ADDRESS?\n",
    )
