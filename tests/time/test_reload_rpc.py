"""ReloadModel through the pipeline: one after another, and what a caller is told."""

from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from google.rpc import code_pb2, error_details_pb2
from sentido.v1.model_pb2 import ReloadModelRequest, ReloadModelResponse
from sentido_bundle import default_bundle
from sentido_server.core.batcher import BatchLimits
from sentido_server.core.call import CallRecord, Metadata
from sentido_server.core.codec import PROTOBUF
from sentido_server.core.faults import BundleRefused, NotFound
from sentido_server.core.pipeline import Outcome, Pipeline
from sentido_server.core.registry import Registry
from sentido_server.core.rpc import Lane, RequestLimits, Serving
from sentido_server.loading import Loader
from sentido_server.rpcs import model as models
from sentido_server.security.bearer import Access
from sentido_server.sources import Source
from variants import copy
from waiting import PATIENCE

(RELOAD,) = [rpc for rpc in models.RPCS if rpc.lane is Lane.ADMIN]


class Call:
    """A call of no transport."""

    peer = "test"
    codec = PROTOBUF
    metadata: Metadata = ()

    def __init__(self) -> None:
        self._outcome: Future[Outcome] = Future()
        self.finish = self._outcome.set_result

    def is_expired(self) -> bool:
        return False

    def is_cancelled(self) -> bool:
        return False

    def outcome(self) -> Outcome:
        return self._outcome.result(PATIENCE)


@pytest.fixture
def link(tmp_path: Path) -> Path:
    (tmp_path / "served").symlink_to(default_bundle())
    return tmp_path / "served"


def point(link: Path, folder: Path) -> None:
    link.unlink()
    link.symlink_to(folder)


class Reloading:
    """A pipeline whose models come from folders."""

    def __init__(self, *sources: Source) -> None:
        self.pipeline = Pipeline(
            1, BatchLimits(rows=8, budget=4096, padding=0.1, queued=10**6), Access(None)
        )
        self.loader = Loader(sources, "fp32", self._use)
        self.loader.load()

    def _use(self, registry: Registry, loader: Loader) -> None:
        limits = RequestLimits(1000, 10, 10**6)
        self.pipeline.open(Serving(registry, limits, "test", loader.reload))

    def send(self, name: str, version: str = "") -> Call:
        """Send what an administrator has sent."""
        call = Call()
        body = ReloadModelRequest(name=name, version=version).SerializeToString()
        self.pipeline.submit(RELOAD, call, CallRecord("test", "test"), body, call.finish)
        return call

    def reload(self, name: str, version: str = "") -> Outcome:
        return self.send(name, version).outcome()

    @property
    def models(self) -> list[tuple[str, str]]:
        return [(bundle.name, bundle.version) for bundle in self.loader.registry.bundles]


@pytest.fixture
def reloading(link: Path) -> Iterator[Reloading]:
    made = Reloading(Source(link))
    yield made
    made.pipeline.close()


@pytest.mark.parametrize("name", ["imdb", ""])
def test_a_model_is_loaded_again(reloading: Reloading, name: str) -> None:
    before = reloading.loader.registry.default
    outcome: Any = reloading.reload(name)
    answer = ReloadModelResponse.FromString(outcome)
    assert answer.model.name == "imdb"
    assert answer.previous_bundle_digest == answer.model.bundle_digest == before.digest
    assert reloading.loader.registry.default is not before
    assert reloading.loader.reloads == {"success": 1, "failure": 0}


def test_an_unknown_model_is_not_found(reloading: Reloading) -> None:
    assert isinstance(reloading.reload("nope"), NotFound)
    assert isinstance(reloading.reload("/etc"), NotFound)


def test_a_bad_bundle_is_a_failed_precondition_with_a_reason(
    reloading: Reloading, link: Path
) -> None:
    before = reloading.loader.registry
    link.unlink()
    outcome = reloading.reload("imdb")
    assert isinstance(outcome, BundleRefused)
    assert outcome.code == code_pb2.FAILED_PRECONDITION
    assert outcome.message.startswith("the bundle that was there is kept: bundle ")
    assert "no such directory" in outcome.message
    info = error_details_pb2.ErrorInfo()
    assert outcome.status().details[0].Unpack(info)
    assert (info.reason, info.domain) == ("BUNDLE_REFUSED", "sentido")
    assert reloading.loader.registry is before
    assert reloading.loader.reloads == {"success": 0, "failure": 1}


def test_a_bundle_of_another_model_is_refused(reloading: Reloading, link: Path) -> None:
    point(link, copy(link.with_name("other"), name="other"))
    outcome = reloading.reload("imdb")
    assert isinstance(outcome, BundleRefused)
    assert "is now model 'other' and not 'imdb'; SIGHUP would" in outcome.message
    assert reloading.loader.registry.default.name == "imdb"


def test_a_bundle_named_from_outside_may_have_any_name_of_its_own(link: Path) -> None:
    reloading = Reloading(Source(link, "mine"))
    point(link, copy(link.with_name("other"), name="other"))
    assert isinstance(reloading.reload("mine"), bytes)
    assert reloading.models == [("mine", "1")]
    reloading.pipeline.close()


def test_a_reload_may_change_the_version_unless_another_bundle_has_it(link: Path) -> None:
    second = copy(link.with_name("2"), version="2")
    reloading = Reloading(Source(link), Source(second))
    assert reloading.models == [("imdb", "1"), ("imdb", "2")]
    point(link, second)
    for version in ("", "1"):
        outcome = reloading.reload("imdb", version)
        assert isinstance(outcome, BundleRefused)
        assert "two bundles are model 'imdb' in version '2': serve one of" in outcome.message
    assert reloading.models == [("imdb", "1"), ("imdb", "2")]
    point(link, copy(link.with_name("3"), version="3"))
    outcome = reloading.reload("imdb", "1")
    assert isinstance(outcome, bytes)
    assert ReloadModelResponse.FromString(outcome).model.version == "3"
    assert reloading.models == [("imdb", "3"), ("imdb", "2")]
    assert isinstance(reloading.reload("imdb", "1"), NotFound)
    assert isinstance(reloading.reload("", "2"), bytes)
    reloading.pipeline.close()


def test_reloads_at_once_run_one_after_another(reloading: Reloading) -> None:
    outcomes = [call.outcome() for call in [reloading.send("imdb") for _ in range(5)]]
    assert all(isinstance(outcome, bytes) for outcome in outcomes)
    assert reloading.loader.reloads == {"success": 5, "failure": 0}


def test_a_reload_while_the_server_drains_does_not_open_it_again(reloading: Reloading) -> None:
    reloading.pipeline.drain()
    assert isinstance(reloading.reload("imdb"), bytes)
    with pytest.raises(Exception, match="shutting down"):
        reloading.pipeline.begin(RELOAD, Call())
