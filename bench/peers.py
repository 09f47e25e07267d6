"""What people would use instead, run on the same texts: each one's server, and how to call it."""

import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from load import Generator, grpc_generator, predict_generator
from servers import free_port, listening, printing

ROOT = Path(__file__).parent.parent
PEERS = Path(__file__).parent / "peer_servers"
Calling = Callable[[str], Generator]  # from a text to a generator of calls with it


def environment(name: str) -> Path:
    """Give the Python of a peer's own environment, made when it is first needed."""
    folder = ROOT / "build" / "bench" / name
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        print(f"  installing {name} ...", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        pip: list[str | Path] = [python, "-m", "pip", "--disable-pip-version-check", "--quiet"]
        subprocess.run([*pip, "install", "-r", PEERS / f"{name}.txt"], check=True)
        (folder / "ready").touch()
    return python


@contextmanager
def mosec() -> Iterator[Calling]:
    """mosec, over HTTP/1.1."""
    port = free_port()
    command: list[str | Path] = [
        environment("mosec"),
        PEERS / "mosec_server.py",
        "--address",
        "127.0.0.1",
    ]
    variables = {"PYTHONPATH": str(ROOT / "bundle"), "SENTIDO_BUNDLE": os.environ["SENTIDO_BUNDLE"]}
    with listening([*command, "--port", str(port), "--log-level", "error"], port, env=variables):
        url = f"http://127.0.0.1:{port}/inference"
        yield lambda text: Generator(url, text.encode(), http1=True)


@contextmanager
def mlserver() -> Iterator[Calling]:
    """MLServer, over its gRPC."""
    python, port = environment("mlserver"), free_port()
    settings = {"debug": False, "host": "127.0.0.1", "parallel_workers": 2, "grpc_port": port}
    settings |= {"http_port": free_port(), "metrics_port": free_port()}
    model: dict[str, Any] = {"name": "imdb", "implementation": "mlserver_model.Sentiment"}
    model |= {"max_batch_size": 8, "max_batch_time": 0.001}
    with tempfile.TemporaryDirectory(prefix="sentido-bench-") as folder:
        (Path(folder) / "settings.json").write_text(json.dumps(settings))
        (Path(folder) / "model-settings.json").write_text(json.dumps(model))
        paths = {"PYTHONPATH": f"{ROOT / 'bundle'}:{PEERS}", "PATH": str(python.parent)}
        paths["SENTIDO_BUNDLE"] = os.environ["SENTIDO_BUNDLE"]
        with listening([python.parent / "mlserver", "start", folder], port, env=paths):
            path = "/inference.GRPCInferenceService/ModelInfer"
            yield lambda text: grpc_generator(f"127.0.0.1:{port}", path, _infer(python, text))


@contextmanager
def threads() -> Iterator[Calling]:
    """Grpcio with a pool of threads, one run of the graph a call."""
    yield from _ours("threads_server.py")


@contextmanager
def window() -> Iterator[Calling]:
    """grpc.aio with batches of what came within 5 ms, padded to the longest."""
    yield from _ours("window_server.py")


def keras_predict(rounds: int) -> list[float]:
    """Give the texts a second of keras.Model.predict, padded to 500, in batches of 128."""
    command: list[str | Path] = [sys.executable, PEERS / "keras_predict.py", str(rounds)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    rates: list[float] = json.loads(result.stdout.splitlines()[-1])
    return rates


def _ours(script: str) -> Iterator[Calling]:
    with printing([sys.executable, PEERS / script]) as address:
        yield partial(predict_generator, address)


def _infer(python: Path, text: str) -> bytes:
    """Encode MLServer's request with its own stubs, in its own environment."""
    script = """
import sys
from mlserver.grpc.dataplane_pb2 import ModelInferRequest
request = ModelInferRequest(model_name="imdb")
tensor = request.inputs.add(name="text", datatype="BYTES", shape=[1])
tensor.contents.bytes_contents.append(sys.stdin.buffer.read())
sys.stdout.buffer.write(request.SerializeToString())
"""
    result = subprocess.run([python, "-c", script], input=text.encode(), stdout=subprocess.PIPE)
    result.check_returncode()
    return result.stdout
