"""An object store that speaks S3: read, written, resumed."""

import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer
from pyarrow import fs
from scoring import SCORE, sentido_score, write_csv, write_parquet
from sentido_score import Options, RunStats, ScoreError, score
from sentido_score.formats.opening import open_source
from waiting import PATIENCE


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[fs.FileSystem]:
    """A server on a free port of loopback, and a bucket in it."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    system, _ = fs.FileSystem.from_uri("s3://bucket?allow_bucket_creation=true")
    system.create_dir("bucket")
    yield system
    system.delete_dir_contents("bucket")  # the next server would still have it
    server.stop()


def names(bucket: fs.FileSystem) -> set[str]:
    infos = bucket.get_file_info(fs.FileSelector("bucket", recursive=True))
    return {info.path.removeprefix("bucket/") for info in infos if info.type == fs.FileType.File}


def put(bucket: fs.FileSystem, path: Path, name: str) -> None:
    with bucket.open_output_stream(f"bucket/{name}") as stream:
        stream.write(path.read_bytes())


def test_globs_and_folders_of_an_object_store(
    tmp_path: Path, reviews: list[str], bucket: fs.FileSystem
) -> None:
    for number in range(3):
        path = write_parquet(tmp_path / f"{number}.parquet", reviews[number::100])
        put(bucket, path, f"in/{number}.parquet")
    flags = ("--part-rows", "300", "--format", "parquet")
    sentido_score("s3://bucket/in/*.parquet", "--out", "s3://bucket/out/", *flags)
    score(tmp_path / "*.parquet", out=tmp_path / "local.parquet")
    assert {name for name in names(bucket) if not name.startswith("in/")} == {
        *("out/part-00000.parquet", "out/part-00001.parquet", "out.report.json"),
    }
    found = pq.read_table("bucket/out", filesystem=bucket)
    assert found.equals(pq.read_table(tmp_path / "local.parquet"))
    result = sentido_score(
        "s3://bucket/in/*.parquet", "--out", "s3://bucket/out/", *flags, "--resume"
    )
    assert b"is finished already" in result.stderr


def test_a_file_of_an_object_store_is_whole_or_not_there(
    tmp_path: Path, reviews: list[str], bucket: fs.FileSystem
) -> None:
    put(bucket, write_csv(tmp_path / "in.csv", reviews[:900]), "in.csv")

    class EnoughError(Exception):
        pass

    def stop(*_: object) -> None:
        if "out.csv.parts/part-00001.csv" in names(bucket):
            raise EnoughError

    options = Options(part_rows=300)
    with pytest.raises(EnoughError):
        score("s3://bucket/in.csv", out="s3://bucket/out.csv", options=options, watch=stop)
    assert "out.csv" not in names(bucket)
    with bucket.open_input_stream("bucket/out.csv.parts/state.json") as stream:
        assert json.loads(stream.read())["parts"] == 2
    score("s3://bucket/in.csv", out="s3://bucket/out.csv", options=options, resume=True)
    score(tmp_path / "in.csv", out=tmp_path / "out.csv")
    with bucket.open_input_stream("bucket/out.csv") as stream:
        assert stream.read() == (tmp_path / "out.csv").read_bytes()
    assert names(bucket) == {"in.csv", "out.csv", "out.csv.report.json"}


def test_uris_hold_globs_spaces_and_partitions(tmp_path: Path, bucket: fs.FileSystem) -> None:
    path = write_csv(tmp_path / "in.csv", ["x"])
    for key in (
        "year=2023/a1.csv",
        "year=2024/a2.csv",
        "year=2024/a b.csv",
        "year=2024/100%#é.csv",
    ):
        put(bucket, path, f"lake/{key}")

    def found(source: str, **options: Any) -> list[str]:
        return [file.name for file in open_source(source, Options(**options)).files]

    lake = "s3://bucket/lake"
    first, second = f"{lake}/year=2023/a1.csv", f"{lake}/year=2024/a2.csv"
    assert found(f"{lake}/year=2023/a?.csv") == [first]
    assert found(f"{lake}/year=202?/a?.csv") == [first, second]
    assert found(f"{lake}/**/a[12].csv") == [first, second]
    assert found(f"{lake}/year=202[!4]/*.csv?region=us-east-1") == [first]
    assert found(f"{lake}/year=2024/a%20b.csv") == [f"{lake}/year=2024/a b.csv"]
    for name in ("a b.csv", "100%#é.csv"):
        assert found(f"{lake}/year=2024/{name}") == [f"{lake}/year=2024/{name}"]
    assert len(found("S3://bucket/lake")) == 4
    with pytest.raises(ScoreError, match=r"s3://bucket/lake/a\?\.csv: no file matches"):
        found(f"{lake}/a?.csv")
    with pytest.raises(ScoreError, match=r"s3://bucket/.*: no such file system .*'regin'"):
        found(f"{lake}/a.csv?regin=x")
    report = score(lake, out=tmp_path / "out.jsonl", options=Options(columns=("year", "error")))
    assert report.rows == 4
    years = [json.loads(line)["year"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert years == [2023, 2024, 2024, 2024]


@pytest.mark.parametrize("out", ["lake/reviews/", "lake/reviews.csv"])
def test_objects_in_the_work_folders_place_stay(
    out: str, tmp_path: Path, bucket: fs.FileSystem
) -> None:
    key = f"{out.rstrip('/')}.parts/a.csv"
    put(bucket, write_csv(tmp_path / "in.csv", ["x"]), key)
    put(bucket, tmp_path / "in.csv", "in.csv")
    for source in ("in.csv", key):
        for overwrite in (True, False):
            with pytest.raises(ScoreError, match="choose another output"):
                score(f"s3://bucket/{source}", out=f"s3://bucket/{out}", overwrite=overwrite)
    assert names(bucket) == {"in.csv", key}


def test_parts_on_an_object_store_are_not_read_as_input(
    tmp_path: Path, reviews: list[str], bucket: fs.FileSystem
) -> None:
    put(bucket, write_csv(tmp_path / "in.csv", reviews[:900]), "in/in.csv")

    class EnoughError(Exception):
        pass

    def stop(*_: object) -> None:
        if "in/out/part-00001.csv" in names(bucket):
            raise EnoughError

    options = Options(part_rows=300)
    with pytest.raises(EnoughError):
        score("s3://bucket/in", out="s3://bucket/in/out/", options=options, watch=stop)
    assert score("s3://bucket/in/**/*.csv", out=tmp_path / "out.csv").rows == 900
    report = score("s3://bucket/in", out="s3://bucket/in/out/", options=options, resume=True)
    assert report.rows == 900


@pytest.mark.parametrize("is_killed", [True, False])
def test_a_folder_of_an_object_store_is_replaced_key_by_key(
    is_killed: bool, tmp_path: Path, reviews: list[str], bucket: fs.FileSystem
) -> None:
    put(bucket, write_csv(tmp_path / "in.csv", reviews[:900]), "in.csv")

    class EnoughError(Exception):
        pass

    def watch(counts: RunStats, _share: float | None) -> None:
        assert old <= names(bucket)
        assert "out.report.json" not in names(bucket) or not counts.rows
        if is_killed and counts.rows > 700:
            raise EnoughError

    options = Options(part_rows=300)
    score("s3://bucket/in.csv", out="s3://bucket/out/", options=Options(part_rows=150))
    old = {name for name in names(bucket) if name.startswith("out/")}
    assert len(old) == 6
    if is_killed:
        for _ in range(2):
            with pytest.raises(EnoughError):
                score(
                    "s3://bucket/in.csv",
                    out="s3://bucket/out/",
                    options=options,
                    overwrite=True,
                    watch=watch,
                )
        assert len({name for name in names(bucket) if name.startswith("out/")} - old) >= 2
        score("s3://bucket/in.csv", out="s3://bucket/out/", options=options, resume=True)
    else:
        score(
            "s3://bucket/in.csv",
            out="s3://bucket/out/",
            options=options,
            overwrite=True,
            watch=watch,
        )
    new = {name for name in names(bucket) if name.startswith("out/")}
    assert len(new) == 3
    assert not new & old
    assert names(bucket) == {"in.csv", "out.report.json", *new}
    with bucket.open_input_stream("bucket/out.report.json") as stream:
        assert {f"out/{part['name']}" for part in json.loads(stream.read())["parts"]} == new
    put(bucket, tmp_path / "in.csv", "out/part-00001.csv")
    with pytest.raises(ScoreError, match=r"out/part-00001\.csv: is not of the output"):
        score("s3://bucket/in.csv", out="s3://bucket/out/", options=options, overwrite=True)
    assert names(bucket) == {"in.csv", "out.report.json", "out/part-00001.csv", *new}


class Proxy:
    """Passes on what a process sends to the store, and sends it a signal at an upload."""

    def __init__(
        self, store: tuple[str, int], upload: bytes, number: signal.Signals = signal.SIGTERM
    ) -> None:
        self._store = store
        self._number = number
        self._upload = re.compile(upload)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.process: subprocess.Popen[bytes] | None = None
        self.has_seen = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                self._threads.append(threading.Thread(target=self._relay, args=(client,)))
                self._threads[-1].start()

    def _relay(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._store) as store:
            back = threading.Thread(target=self._pass_on, args=(store, client))
            back.start()
            self._pass_on(client, store)
            back.join(PATIENCE)

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if self._upload.search(data) and self.process and not self.has_seen.is_set():
                    self.has_seen.set()
                    self.process.send_signal(self._number)
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(PATIENCE)


@pytest.mark.parametrize(
    ("out", "key", "upload"),
    [
        ("out.csv", "out.csv", rb"POST /bucket/out\.csv(\.parts/whole\.tmp)?\?uploads"),
        (
            "out/",
            "out/part-00001.csv",
            rb"POST /bucket/out(\.parts)?/part-00001\.csv(\.tmp)?\?uploads",
        ),
    ],
)
def test_an_upload_that_is_ended_by_a_signal_leaves_no_object(
    out: str, key: str, upload: bytes, tmp_path: Path, reviews: list[str], bucket: fs.FileSystem
) -> None:
    path = write_csv(tmp_path / "in.csv", reviews[:900])
    address = urlsplit(os.environ["AWS_ENDPOINT_URL"])
    proxy = Proxy((str(address.hostname), int(address.port or 0)), upload)
    command = [SCORE, str(path), "--out", f"s3://bucket/{out}", "--part-rows", "300"]
    if out.endswith("/"):
        command += ["--format", "csv"]
    environ = os.environ | {"AWS_ENDPOINT_URL": proxy.address, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environ) as process:
        proxy.process = process
        _, said = process.communicate(timeout=PATIENCE)
    proxy.close()
    assert proxy.has_seen.is_set(), said
    assert process.returncode == 143
    assert key not in names(bucket)
    assert not [name for name in names(bucket) if name.endswith("report.json")]
    assert list(tmp_path.iterdir()) == [path]
    assert score(path, out=f"s3://bucket/{out}", options=Options(part_rows=300), resume=True)
    score(path, out=tmp_path / "whole.csv")
    if key == out:
        with bucket.open_input_stream(f"bucket/{key}") as stream:
            assert stream.read() == (tmp_path / "whole.csv").read_bytes()
    assert not [name for name in names(bucket) if ".parts" in name]
    assert bucket.get_file_info(f"bucket/{out.rstrip('/')}.parts").type == fs.FileType.NotFound


def uploads() -> list[str]:
    """Return the keys of the uploads that were begun and are not finished."""
    found = boto3.client("s3").list_multipart_uploads(Bucket="bucket").get("Uploads", [])
    return sorted(upload["Key"] for upload in found)


def objects() -> list[str]:
    """Return all keys, also of the empty objects that pyarrow takes for folders."""
    found = boto3.client("s3").list_objects_v2(Bucket="bucket").get("Contents", [])
    return sorted(each["Key"] for each in found)


@pytest.mark.usefixtures("bucket")
def test_what_a_killed_upload_leaves_is_removed_by_the_next_run(
    tmp_path: Path, reviews: list[str]
) -> None:
    path = write_csv(tmp_path / "in.csv", reviews[:900])
    others = ["lake/out.csv.parts/mine", "lake/out.csv.partsandmore", "lake/other.csv.parts/whole"]
    for key in others:
        boto3.client("s3").create_multipart_upload(Bucket="bucket", Key=key)
    address = urlsplit(os.environ["AWS_ENDPOINT_URL"])
    upload = rb"PUT /bucket/lake/out\.csv\.parts/part-00001\.csv\.tmp\?partNumber"
    store = (str(address.hostname), int(address.port or 0))
    proxy = Proxy(store, upload, signal.SIGKILL)
    command = [SCORE, str(path), "--out", "s3://bucket/lake/out.csv", "--part-rows", "300"]
    environ = os.environ | {"AWS_ENDPOINT_URL": proxy.address, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environ) as process:
        proxy.process = process
        process.communicate(timeout=PATIENCE)
    proxy.close()
    assert process.returncode == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == [path]
    assert uploads() == sorted([*others, "lake/out.csv.parts/part-00001.csv.tmp"])
    score(path, out="s3://bucket/lake/out.csv", options=Options(part_rows=300), resume=True)
    assert uploads() == sorted(others)
    assert objects() == ["lake/out.csv", "lake/out.csv.report.json"]


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize("out", ["lake/deep/out.csv", "lake/deep/out/"])
def test_a_run_makes_no_objects_but_its_own(out: str, tmp_path: Path, reviews: list[str]) -> None:
    path = write_csv(tmp_path / "in.csv", reviews[:9])
    options = Options(part_rows=5, format="csv")
    for overwrite in (False, True):
        score(path, out=f"s3://bucket/{out}", options=options, overwrite=overwrite)
        parts = ["lake/deep/out/part-00000.csv", "lake/deep/out/part-00001.csv"]
        report = f"{out.rstrip('/')}.report.json"
        # Parts that replace others have a name of their run.
        found = sorted(re.sub(r"-[0-9a-f]{8}(?=\.)", "", name) for name in objects())
        assert found == sorted([report, *(parts if out.endswith("/") else [out])])


def test_object_stores_are_written_to_without_boto3_too(
    tmp_path: Path, bucket: fs.FileSystem
) -> None:
    path = write_csv(tmp_path / "in.csv", ["fine"] * 9)
    program = "import sys; sys.modules['boto3'] = None\nfrom sentido_score.main import main\n"
    program += "sys.exit(main(sys.argv[1:]))"
    flags = ["--out", "s3://bucket/lake/out.csv", "--part-rows", "3"]
    command = [sys.executable, "-c", program, str(path), *flags]
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
    assert names(bucket) == {"lake/out.csv", "lake/out.csv.report.json"}


@pytest.mark.needs("unshare")
@pytest.mark.usefixtures("bucket")
def test_a_full_folder_for_temporary_files_is_named(tmp_path: Path, reviews: list[str]) -> None:
    path = write_csv(tmp_path / "in.csv", reviews[:300])
    (tmp_path / "disk").mkdir()
    script = f"""
mount -t tmpfs -o size=64k tmpfs {tmp_path}/disk || exit 90
TMPDIR={tmp_path}/disk exec {SCORE} {path} --out s3://bucket/out.csv"""
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", script]
    result = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    if result.returncode == 90 or "unshare:" in result.stderr:
        pytest.skip("this machine lets nobody mount a tmpfs")
    assert result.returncode == 1
    assert f"{tmp_path}/disk: No space left on device" in result.stderr
    assert "set TMPDIR to a folder with room for it" in result.stderr


def test_an_object_that_is_replaced_ends_the_run(tmp_path: Path, bucket: fs.FileSystem) -> None:
    put(bucket, write_csv(tmp_path / "a.csv", ["good"] * 20_000), "in/a.csv")
    put(bucket, write_csv(tmp_path / "b.csv", ["good"] * 1000), "in/b.csv")
    other = write_csv(tmp_path / "other.csv", ["bad"] * 1000)
    is_replaced: list[bool] = []

    def watch(*_: object) -> None:
        if not is_replaced:
            is_replaced.append(True)
            put(bucket, other, "in/b.csv")

    options = Options(part_rows=300)
    with pytest.raises(ScoreError, match=r"in/b\.csv: was changed after the run began"):
        score("s3://bucket/in", out=tmp_path / "out.csv", options=options, watch=watch)
    twice = ["s3://bucket/in/a.csv", "s3://bucket/in/*.csv"]
    assert score(twice, out=tmp_path / "out.csv", overwrite=True).rows == 21_000


class EnoughError(Exception):
    pass


@pytest.mark.parametrize("out", ["s3://bucket/o.jsonl", "s3://bucket/o/"])
@pytest.mark.parametrize("is_finished", [True, False])
def test_a_run_ends_once_another_one_has_begun_to_write_its_output(
    is_finished: bool, out: str, tmp_path: Path, reviews: list[str], bucket: fs.FileSystem
) -> None:
    first = write_csv(tmp_path / "first.csv", reviews[:300])
    second = write_csv(tmp_path / "second.csv", reviews[300:600])
    options = Options(part_rows=100, format="jsonl")

    def enough(counts: RunStats, _share: float | None) -> None:
        if counts.rows > 100 and not is_finished:
            raise EnoughError

    def begin_another(counts: RunStats, _share: float | None) -> None:
        if counts.rows > 100 and "second" not in done:
            done.append("second")
            with suppress(EnoughError):
                score(second, out=out, options=options, overwrite=True, watch=enough)

    done: list[str] = []
    with pytest.raises(ScoreError, match=r"^s3://bucket/o(\.jsonl)?: another run is writing it$"):
        score(first, out=out, options=options, watch=begin_another)
    assert is_finished == (not any(".parts/" in name for name in names(bucket)))
    score(second, out=out, options=options, resume=True)
    score(second, out=tmp_path / "local.jsonl")
    outputs = sorted(name for name in names(bucket) if name.endswith(".jsonl"))
    data = b"".join(bucket.open_input_stream(f"bucket/{name}").read() for name in outputs)
    assert data == (tmp_path / "local.jsonl").read_bytes()
    assert not any(".parts" in name for name in names(bucket))


@pytest.mark.parametrize("key", ["out/./o.csv", "out/x/../o.csv", "out/%2e%2E/o.csv", "./"])
def test_a_key_that_becomes_another_on_its_way_is_refused(
    key: str, tmp_path: Path, bucket: fs.FileSystem
) -> None:
    path = write_csv(tmp_path / "in.csv", ["fine"])
    with pytest.raises(ScoreError, match="becomes another one on its way"):
        score(path, out=f"s3://bucket/{key}")
    with pytest.raises(ScoreError, match="becomes another one on its way"):
        open_source(f"s3://bucket/{key}", Options())
    assert names(bucket) == set()


def test_a_bucket_is_no_output(tmp_path: Path, bucket: fs.FileSystem) -> None:
    path = write_csv(tmp_path / "in.csv", ["x"])
    for out in ("s3://bucket", "s3://bucket/", "s3://bucket//"):
        with pytest.raises(ScoreError, match=r"s3://bucket/*: is no place for an output"):
            score(path, out=out)
    assert names(bucket) == set()


def test_what_is_not_there_is_named(bucket: fs.FileSystem) -> None:
    assert bucket
    with pytest.raises(ScoreError, match=r"s3://bucket/no\.csv: no such file"):
        score("s3://bucket/no.csv", out="s3://bucket/out.csv")
    with pytest.raises(ScoreError, match="no such file system"):
        score("nope://bucket/no.csv", out="out.csv")
