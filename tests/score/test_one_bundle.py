"""A run's rows are all of one bundle and one precision, whatever becomes of what answers."""

import json
import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pytest
from conftest import config, raw_stream, running
from scoring import copy_bundle, read_jsonl, sentido_score, write_jsonl
from sentido_bundle import Bundle, default_bundle
from sentido_score import Options, ScoreError, Scorer, Servers, score
from variants import copy


@pytest.fixture(scope="module")
def other_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_bundle(tmp_path_factory.mktemp("bundles") / "other")


def test_a_scorer_and_its_copies_refuse_another_bundle(other_bundle: Path, tmp_path: Path) -> None:
    table, link = pa.table({"text": ["good"]}), tmp_path / "current"
    link.symlink_to(default_bundle())
    scorer = Scorer(link)
    assert scorer(table).num_rows == 1
    copied = pickle.dumps(scorer)
    link.unlink()
    link.symlink_to(other_bundle)
    assert scorer(table).num_rows == 1
    digests = [Bundle.load(folder).digest for folder in (other_bundle, default_bundle())]
    message = f"holds the bundle {digests[0]}, expected is {digests[1]}"
    for another in (pickle.loads(copied), Scorer(link, expect_bundle=digests[1])):
        with pytest.raises(ScoreError, match=message):
            another(table)
    assert Scorer(link, expect_bundle=digests[0])(table).num_rows == 1


class _Router(grpc.GenericRpcHandler):
    """Passes calls of some services on to one server, and all others to another."""

    def __init__(self, usual: grpc.Channel, other: grpc.Channel, services: str) -> None:
        self._usual, self._other, self._services = usual, other, services

    def service(self, details: Any) -> Any:
        is_other = details.method.split("/")[1].endswith(self._services)
        channel = self._other if is_other else self._usual

        def pass_on(messages: Any, context: grpc.ServicerContext) -> Iterator[bytes]:
            call = raw_stream(channel, details.method)(messages)
            context.add_callback(call.cancel)
            with suppress(grpc.RpcError):  # such as of a Watch that the caller has left
                yield from call

        return grpc.stream_stream_rpc_method_handler(pass_on)


@contextmanager
def routed(other: dict[str, Any], services: str) -> Iterator[str]:
    """Run a server of the default bundle, one of other settings for some services, and a router."""
    with ExitStack() as stack:
        channels = [
            stack.enter_context(
                grpc.insecure_channel(stack.enter_context(running(config(**settings))))
            )
            for settings in ({}, other)
        ]
        pool = stack.enter_context(ThreadPoolExecutor(8))
        router = grpc.server(pool, [_Router(channels[0], channels[1], services)])
        port = router.add_insecure_port("127.0.0.1:0")
        router.start()
        stack.callback(lambda: router.stop(None).wait())
        yield f"127.0.0.1:{port}"


def test_the_version_of_a_server_s_model_can_be_chosen_and_is_in_the_report(
    tmp_path: Path, bundle: Bundle
) -> None:
    path, out = write_jsonl(tmp_path / "in.jsonl", ["good"]), tmp_path / "out.jsonl"
    second = copy(tmp_path / "2", version="2")
    with running(config(bundle=(default_bundle(), second))) as address:
        for version in ("", "2"):
            servers, options = Servers(address, model_version=version), Options(embed="hidden")
            score(path, out=out, options=options, engine="remote", servers=servers, overwrite=True)
            report = json.loads((tmp_path / "out.jsonl.report.json").read_bytes())
            assert (report["model"], report["version"]) == ("imdb", version or "1")
            assert (report["bundle_digest"] == bundle.digest) == (version == "")
        flags = ("--engine", "remote", "--address", address, "--model-version", "9")
        result = sentido_score(path, "--out", tmp_path / "other.jsonl", *flags, code=1)
    assert b"version '9' of model 'imdb' is not loaded, there are: 1, 2" in result.stderr


@pytest.mark.parametrize("services", ["PredictionService", "EmbeddingService"])
@pytest.mark.parametrize("other", ["bundle", "precision"])
def test_a_server_that_answers_from_something_else_ends_the_run(
    services: str, other: str, other_bundle: Path, tmp_path: Path
) -> None:
    path, out = write_jsonl(tmp_path / "in.jsonl", ["good", "bad"] * 50), tmp_path / "out.jsonl"
    settings = {"bundle": (other_bundle,)} if other == "bundle" else {"precision": "int8"}
    options = Options(embed="hidden", part_rows=10)
    with (
        routed(settings, services) as address,
        pytest.raises(ScoreError, match=r"now has the bundle .* the run began with"),
    ):
        score(path, out=out, options=options, engine="remote", servers=Servers(address))
    assert not out.exists()
    assert not list(tmp_path.glob("out.jsonl.parts/part-*"))
    with running(config()) as address:
        servers = Servers(address)
        score(path, out=out, options=options, engine="remote", servers=servers, resume=True)
    assert len(read_jsonl(out)) == 100
