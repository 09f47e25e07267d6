"""Loading bundles again while they are served: no call fails, and none is told a wrong bundle."""

import asyncio
import hashlib
import json
import os
import shutil
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc.aio
import numpy as np
import onnx
import pytest
from conftest import BIN, config, running
from processes import Server, resident, server
from sentido.v1.prediction_pb2 import PredictRequest, PredictResponse
from sentido_bundle import Bundle
from sentido_client import (
    AsyncClient,
    AuthenticationError,
    BundleChangedError,
    Client,
    NotFoundError,
    ReloadError,
)
from waiting import PATIENCE, wait_for

PREDICT = "/sentido.v1.PredictionService/Predict"
IN_FLIGHT = 64
GROWTH = 12  # MiB from the tenth reload to the last; one that stays costs 0.7, so 40 cost 21
TEXTS = ["a wonderful film", "a dull mess", "good", "", "bad acting but a good and moving story"]


def sign(folder: Path) -> None:
    """Make the manifest agree with the files."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    for name, facts in manifest["files"].items():
        data = (folder / name).read_bytes()
        facts.update(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture(scope="module")
def folders(small_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two good bundles of one name that answer differently: the second has another bias."""
    other = Path(shutil.copytree(small_bundle, tmp_path_factory.mktemp("other") / "bundle"))
    model = onnx.load_model_from_string((other / "model.onnx").read_bytes())
    (add,) = [node for node in model.graph.node if node.op_type == "Add"]
    (bias,) = [tensor for tensor in model.graph.initializer if tensor.name in add.input]
    bias.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(bias) + 1, bias.name))
    (other / "model.onnx").write_bytes(model.SerializeToString())
    golden = json.loads((other / "golden.json").read_bytes())
    for text in golden:
        first, second = text["probabilities"]
        odds = second / first * np.e
        text["probabilities"] = [1 / (1 + odds), odds / (1 + odds)]
    (other / "golden.json").write_text(json.dumps(golden))
    sign(other)
    return [small_bundle, other]


def point(link: Path, folder: Path) -> None:
    """Make the link lead to the folder, in one step."""
    new = link.with_name("new")
    new.symlink_to(folder)
    os.replace(new, link)


@pytest.fixture
def link(folders: list[Path], tmp_path: Path) -> Path:
    point(tmp_path / "served", folders[0])
    return tmp_path / "served"


def reload(running: Server, event: str = "reloaded") -> dict[str, Any]:
    running.process.send_signal(signal.SIGHUP)
    return running.wait_for(event)


class Load:
    """Predict calls, so many in flight, and whether each answer is its bundle's."""

    def __init__(self, address: str, bundles: list[Bundle]) -> None:
        self._address = address
        self._bodies = [PredictRequest(text=text).SerializeToString() for text in TEXTS]
        self._wanted = {
            bundle.digest: bundle.predict(TEXTS).probabilities.tolist() for bundle in bundles
        }
        self._stop = threading.Event()
        self.digests: Counter[str] = Counter()  # of the right answers
        self.wrong: list[str] = []

    async def _run(self) -> None:
        async with grpc.aio.insecure_channel(self._address) as channel:
            predict: Any = channel.unary_unary(PREDICT)
            await asyncio.gather(*(self._call(predict) for _ in range(IN_FLIGHT)))

    async def _call(self, predict: Any) -> None:
        number = 0
        while not self._stop.is_set():
            number = (number + 1) % len(TEXTS)
            try:
                answer = PredictResponse.FromString(await predict(self._bodies[number]))
            except grpc.aio.AioRpcError as error:
                self.wrong.append(str(error))
                return
            digest = answer.served_by.bundle_digest
            scores = [score.probability for score in answer.prediction.scores]
            if scores == self._wanted[digest][number]:
                self.digests[digest] += 1
            else:
                self.wrong.append(f"{scores} from {digest}")

    def has_more_than(self, count: int, digest: str) -> bool:
        """Tell whether more right answers have come from a bundle, or a wrong one from any."""
        return self.digests[digest] > count or bool(self.wrong)

    @contextmanager
    def running(self) -> Iterator[None]:
        thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()


def test_reloads_under_load_fail_no_call_and_keep_answers_and_bundles_together(
    transport: str, folders: list[Path], link: Path, pytestconfig: pytest.Config
) -> None:
    bundles = [Bundle.load(folder) for folder in folders]
    resident_after: list[float] = []
    with server("--bundle", str(link), "--transport", transport) as process:
        load = Load(process.address, bundles)
        with load.running():
            for number in range(1, pytestconfig.getoption("reloads") + 1):
                digest = bundles[number % 2].digest
                before = load.digests[digest]
                point(link, folders[number % 2])
                assert reload(process)["models"] == {"small 1": digest}
                wait_for(partial(load.has_more_than, before, digest))
                resident_after.append(resident(process.process.pid))
    assert load.wrong == []
    assert resident_after[-1] - resident_after[9] < GROWTH, resident_after


def breakages() -> Iterator[tuple[str, Callable[[Path], object]]]:
    """Twenty ways in which a folder is no bundle."""
    names = ["manifest.json", "vocabulary.json", "model.onnx", "steps.onnx", "weights.bin"]
    names.append("golden.json")
    for name in names:
        yield f"{name} is missing", partial(remove, name)
        yield f"{name} is cut", partial(cut, name)
    for name in names[1:]:
        yield f"{name} is changed", partial(flip, name)
    yield "golden.json has another answer", worsen
    yield "there is no folder", shutil.rmtree
    yield "there is a file in the folder's place", replace_by_file


def remove(name: str, folder: Path) -> None:
    (folder / name).unlink()


def cut(name: str, folder: Path) -> None:
    os.truncate(folder / name, (folder / name).stat().st_size - 9)


def flip(name: str, folder: Path) -> None:
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)


def worsen(folder: Path) -> None:
    golden = json.loads((folder / "golden.json").read_bytes())
    golden[3]["probabilities"] = [0.0, 1.0]
    (folder / "golden.json").write_text(json.dumps(golden))
    sign(folder)


def replace_by_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("")


@pytest.mark.parametrize("verb", ["predict", "embed"])
def test_a_stream_that_expects_a_bundle_gives_no_answer_of_the_next_one(
    verb: str, folders: list[Path], link: Path
) -> None:
    with server("--bundle", str(link)) as process, Client(process.address) as client:

        def texts() -> Iterator[str]:
            yield "good"
            point(link, folders[1])
            assert taken.wait(PATIENCE)
            reload(process)
            yield from ("bad", "good")

        taken = threading.Event()
        stream = getattr(client, verb)(texts(), expect_bundle=client.model())
        next(stream)
        taken.set()
        with pytest.raises(BundleChangedError):
            next(stream)


def test_a_broken_bundle_is_refused_with_the_reason_and_the_old_one_serves_on(
    folders: list[Path], link: Path, tmp_path: Path
) -> None:
    ways = dict(breakages())
    assert len(ways) == 20
    old = Bundle.load(folders[0])
    with server("--bundle", str(link)) as process:
        load = Load(process.address, [old])
        reasons = set()
        with load.running():
            for number, spoil in enumerate(ways.values()):
                folder = Path(shutil.copytree(folders[1], tmp_path / str(number)))
                spoil(folder)
                point(link, folder)
                error = reload(process, "reload failed")["error"]
                assert error.startswith(f"bundle {folder}: ")
                reasons.add(error.removeprefix(f"bundle {folder}: "))
        assert len(reasons) >= 19  # no folder, and a file in its place, are one reason
        assert load.wrong == []
        assert set(load.digests) == {old.digest}
        point(link, folders[1])
        assert reload(process)["models"] == {"small 1": Bundle.load(folders[1]).digest}


def test_a_hangup_loads_all_bundles_or_none(folders: list[Path], tmp_path: Path) -> None:
    links = [tmp_path / "first", tmp_path / "second"]
    renamed = Path(shutil.copytree(folders[1], tmp_path / "renamed"))
    manifest = json.loads((renamed / "manifest.json").read_bytes())
    (renamed / "manifest.json").write_text(json.dumps({**manifest, "name": "other"}))
    point(links[0], folders[0])
    point(links[1], renamed)
    flags = [flag for each in links for flag in ("--bundle", str(each))]
    with server(*flags) as process, Client(process.address) as client:
        before = {model.name: model.bundle_digest for model in client.models()}
        assert set(before) == {"small", "other"}
        point(links[0], folders[1])
        point(links[1], folders[0])  # two of one name
        assert (
            "two bundles are model 'small' in version '1'"
            in reload(process, "reload failed")["error"]
        )
        assert {model.name: model.bundle_digest for model in client.models()} == before
        point(links[1], renamed)
        served = {"other 1": before["other"], "small 1": Bundle.load(folders[1]).digest}
        assert reload(process)["models"] == served


def test_only_an_administrator_reloads_a_model(transport: str) -> None:
    with running(config(transport=transport)) as address, Client(address) as client:
        with pytest.raises(AuthenticationError, match="ReloadModel is off"):
            client.reload_model("imdb")
        assert client.predict("good").label == "positive"


ADMIN = "an-administrators-token-0123456789"


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    (tmp_path / "tokens").write_text(f"admin {ADMIN}\ncall a-callers-token-0123456789\n")
    (tmp_path / "tokens").chmod(0o600)
    return tmp_path / "tokens"


def test_an_administrator_reloads_a_model_and_is_told_why_not(
    transport: str, folders: list[Path], link: Path, tokens: Path
) -> None:
    bundles = [Bundle.load(folder) for folder in folders]
    settings = config(transport=transport, bundle=(link,), token_file=tokens)
    with running(settings) as address, Client(address, token=ADMIN) as client:
        assert client.predict("good").bundle_digest == bundles[0].digest
        point(link, folders[1])
        assert client.reload_model("small").bundle_digest == bundles[1].digest
        assert client.predict("good").bundle_digest == bundles[1].digest
        with pytest.raises(NotFoundError):
            client.reload_model(str(folders[0]))
        point(link, link.with_name("nowhere"))
        with pytest.raises(ReloadError, match=r"is kept: bundle .*nowhere: no such dir") as caught:
            client.reload_model()
        assert caught.value.reason == "BUNDLE_REFUSED"
        assert client.predict("good").bundle_digest == bundles[1].digest
        point(link, folders[0])

        async def reload_it() -> str:
            async with AsyncClient(address, token=ADMIN) as other:
                return (await other.reload_model("small")).bundle_digest

        assert asyncio.run(reload_it()) == bundles[0].digest
        with (
            Client(address, token="a-callers-token-0123456789") as caller,
            pytest.raises(AuthenticationError, match="needs a token of the role admin"),
        ):
            caller.reload_model("small")


def test_the_command_reloads_a_model(folders: list[Path], link: Path, tokens: Path) -> None:
    (link.with_name("token")).write_text(ADMIN)
    with running(config(bundle=(link,), token_file=tokens)) as address:
        point(link, folders[1])
        command = [str(BIN / "sentido"), "reload", "small", "--address", address]
        environment = {**os.environ, "SENTIDO_CONNECT_TOKEN_FILE": str(link.with_name("token"))}
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=60, env=environment
        )
        assert (result.returncode, result.stderr) == (0, "")
        assert json.loads(result.stdout)["bundle_digest"] == Bundle.load(folders[1]).digest
