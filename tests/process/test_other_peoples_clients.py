"""Clients that are not ours, and libraries older than ours."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import BIN, NODE_MODULES, ROOT, UNITS
from sentido_client import Client

# Environments with older libraries: what they hold is in the root's pyproject.toml.
OLDER = {"floors": "protobuf 5.29.1, grpcio 1.71.0", "protobuf6": "protobuf 6.31.1, grpcio 1.74.0"}
SOURCES = os.pathsep.join(str(ROOT / part) for part in ("proto", "client", "bundle", "score"))


def older(environment: str) -> Path:
    return BIN.parent / environment / "bin" / "python"


def buf_curl(*arguments: str) -> str:
    """Run `buf curl`, which knows of the server only what reflection tells."""
    result = subprocess.run(
        [BIN / "buf", "curl", "--http2-prior-knowledge", "--protocol", "grpc", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "BUF_CACHE_DIR": str(ROOT / "build" / "buf")},
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_buf_curl_lists_every_method_by_reflection(version: str, address: str) -> None:
    protocol = ["--reflect-protocol", f"grpc-{version}"]
    methods = buf_curl(*protocol, "--list-methods", f"http://{address}").split()
    assert {method for method in methods if method.startswith("grpc")} >= {
        "grpc.health.v1.Health/Check",
        "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    }
    assert [m.split(".v1.")[1] for m in methods if m.startswith("sentido")] == [
        "EmbeddingService/BatchEmbed",
        "EmbeddingService/Embed",
        "EmbeddingService/EmbedTokens",
        "EmbeddingService/FindNearestWords",
        "EmbeddingService/LookupWords",
        "EmbeddingService/StreamEmbed",
        "ModelService/GetModel",
        "ModelService/GetServerInfo",
        "ModelService/ListModels",
        "ModelService/ReloadModel",
        "PredictionService/BatchPredict",
        "PredictionService/Predict",
        "PredictionService/StreamPredict",
        "TokenizerService/Detokenize",
        "TokenizerService/Tokenize",
    ]


def test_buf_curl_predicts_what_our_client_predicts(address: str, client: Client) -> None:
    text = "A wonderful little film."
    url = f"http://{address}/sentido.v1.PredictionService/Predict"
    answer = json.loads(buf_curl("--data", json.dumps({"text": text}), url))
    ours = client.predict(text)
    assert answer["prediction"]["label"] == ours.label
    assert answer["prediction"]["probability"] == pytest.approx(ours.probability, abs=1e-7)
    assert answer["servedBy"]["bundleDigest"] == ours.bundle_digest


def test_buf_curl_streams(address: str) -> None:
    url = f"http://{address}/sentido.v1.PredictionService/StreamPredict"
    data = '{"texts": ["wonderful", "awful"]}{"texts": ["dull"]}'
    answers = buf_curl("--data", data, url)
    assert answers.count('"prediction"') == 3
    url = f"http://{address}/sentido.v1.EmbeddingService/StreamEmbed"
    answers = buf_curl("--data", data, url)
    assert answers.count('"usage"') == 3
    assert answers.count('"embeddings"') == 2


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example in TypeScript, compiled, beside the protocol as in the repository."""
    root = tmp_path_factory.mktemp("repository")
    (root / "proto").symlink_to(ROOT / "proto")
    folder = root / "examples" / "typescript"
    for name in ("package.json", "tsconfig.json", "src/predict.ts"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "examples" / "typescript" / name, folder / name)
    (folder / "node_modules").symlink_to(NODE_MODULES)
    built = npm(folder, "run", "build")
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


def npm(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["npm", "--silent", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **variables},
    )


@pytest.mark.needs("node", "npm", "packages of npm")
def test_the_example_in_typescript_predicts_what_our_client_predicts(
    example: Path, address: str, client: Client
) -> None:
    texts = ["A wonderful little film.", "A dull, lifeless mess.", ""]
    result = npm(example, "start", "--", *texts, SENTIDO_ADDRESS=address)
    assert (result.stderr, result.returncode) == ("", 0)
    first, *streamed = result.stdout.splitlines()
    ours = client.predict(texts)
    assert first == f"{streamed[0]} ({ours[0].model})"
    labels, probabilities = zip(*(line.split() for line in streamed), strict=True)
    assert list(labels) == [each.label for each in ours]
    assert [float(each) for each in probabilities] == [each.probability for each in ours]


@pytest.mark.needs("node", "npm", "packages of npm")
def test_the_example_in_typescript_says_in_one_line_why_a_call_fails(example: Path) -> None:
    result = npm(example, "start", "--", "good", SENTIDO_ADDRESS="127.0.0.1:1")
    assert (result.stdout, result.returncode) == ("", 1)
    assert result.stderr.startswith("14 UNAVAILABLE: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("environment", OLDER)
def test_the_stubs_and_the_client_work_with_older_libraries(
    environment: str, address: str, client: Client
) -> None:
    program = f"""
import asyncio, google.protobuf, grpc
print("protobuf", google.protobuf.__version__ + ", grpcio", grpc.__version__)
from sentido.v1 import common_pb2, embedding_pb2, model_pb2, prediction_pb2, tokenizer_pb2
from sentido_client import AsyncClient, Client, SentidoError
with Client({address!r}) as client:
    print(client.predict("wonderful").probability)
    print(client.embed(["good", "bad"]).shape, len(list(client.predict(iter(["a"] * 99)))))
    try:
        client.predict(["a", "x" * 2_000_000])
    except SentidoError as error:
        print(error)
async def main():
    async with AsyncClient({address!r}) as client:
        print((await client.predict("wonderful")).probability)
asyncio.run(main())
"""
    result = subprocess.run(
        [older(environment), "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": SOURCES},
    )
    assert result.returncode == 0, result.stderr
    probability = str(client.predict("wonderful").probability)
    assert result.stdout.splitlines() == [
        OLDER[environment],
        probability,
        f"(2, {UNITS}) 99",
        "texts[1]: has 2000000 characters, at most 1000000 are allowed",
        probability,
    ]


def test_the_command_works_with_the_oldest_libraries(address: str, client: Client) -> None:
    python: list[str | Path] = [older("floors"), "-W", "error", "-m", "sentido_client"]
    for output in ("--json", "--table"):
        result = subprocess.run(
            [*python, "predict", "wonderful", output, "--address", address],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "PYTHONPATH": SOURCES},
        )
        assert (result.stderr, result.returncode) == ("", 0)
        assert client.predict("wonderful").label in result.stdout


def test_a_bundle_and_the_scorer_work_with_the_oldest_libraries(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("text\nwonderful\nawful\n")
    program = """
from sentido_bundle import Bundle, default_bundle
from sentido_score import score
for precision in ("fp32", "int8"):
    bundle = Bundle.load(default_bundle(), precision)
    print(bundle.manifest.labels[bundle.predict(["wonderful"] * 99).probabilities[98].argmax()])
score("in.csv", out="out.parquet")
print(score("out.parquet", out="out.jsonl").rows)
"""
    result = subprocess.run(
        [older("floors"), "-W", "error", "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": SOURCES},
    )
    assert (result.stderr, result.returncode) == ("", 0)
    assert result.stdout.split() == ["positive", "positive", "2"]
    rows = (tmp_path / "out.jsonl").read_text().splitlines()
    assert [json.loads(row)["label"] for row in rows] == ["positive", "negative"]


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("sentido_server.main", ("tensorflow", "keras", "tf2onnx", "sentido_client")),
        ("sentido_server.app", ("opentelemetry", "prometheus_client")),
        ("sentido_client.main", ("onnxruntime", "tensorflow", "sentido_server", "sentido_bundle")),
        ("sentido_client", ("onnxruntime", "rich", "click", "sentido_server")),
        ("sentido_bundle", ("grpc", "tensorflow", "onnx", "google.protobuf")),
        ("sentido_export.export", ("grpc", "tensorflow", "sentido_server", "sentido_client")),
    ],
)
def test_a_package_loads_without_what_it_must_not_need(module: str, absent: tuple[str]) -> None:
    program = f"import sys, {module}; print([m for m in {absent!r} if m in sys.modules])"
    result = subprocess.run(
        [BIN / "python", "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert result.stdout == "[]\n"


@pytest.mark.parametrize(
    ("python", "found"),
    [
        pytest.param("python3.10", "Python 3.10.", marks=pytest.mark.needs("python3.10")),
        pytest.param("python3.14", "Python 3.14.", marks=pytest.mark.needs("python3.14")),
        ("no-such-python", "not there: name another with make PYTHON="),
    ],
)
def test_another_python_is_told_which_are_needed(python: str, found: str, tmp_path: Path) -> None:
    result = subprocess.run(
        ["make", "-C", ROOT, "demo", f"PYTHON={python}", f"VENV={tmp_path}/venv"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode != 0
    assert f"Sentido needs Python 3.11, 3.12 or 3.13, and {python} is {found}" in result.stderr
    assert not (tmp_path / "venv").exists()
