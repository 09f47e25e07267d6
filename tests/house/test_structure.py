"""What reviews forget: who imports whom, what the locks hold, what is public."""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import sentido_bundle
import sentido_client
import sentido_score
from conftest import BIN, ROOT
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

PACKAGES = {
    "proto/sentido": {"google", "grpc", "sentido"},
    "bundle/sentido_bundle": {"numpy", "onnxruntime", "sentido_bundle"},
    "server/sentido_server": {
        *("google", "grpc", "grpc_health", "grpc_reflection", "numpy", "opentelemetry"),
        *("prometheus_client", "pygrpc_native", "sentido", "sentido_bundle", "sentido_server"),
    },
    "client/sentido_client": {
        *("click", "google", "grpc", "grpc_health", "numpy", "rich"),
        *("sentido", "sentido_client", "sentido_command"),
    },
    "export/sentido_export": {
        *("h5py", "keras", "numpy", "onnx", "onnxruntime", "scipy", "sklearn", "tensorflow"),
        "tf2onnx",
        *("sentido_bundle", "sentido_evaluate", "sentido_export", "sentido_score"),
    },
    "evaluate/sentido_evaluate": {
        *("numpy", "rich", "sentido_bundle", "sentido_evaluate", "sentido_score"),
    },
    "score/sentido_score": {
        *("boto3", "botocore", "numpy", "pyarrow", "ray"),
        *("sentido_bundle", "sentido_client", "sentido_score"),
    },
}
ENVIRONMENT = {**os.environ, "VENV": str(BIN.parent)}
LOCKS = sorted((ROOT / "locks").glob("*.txt"))


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0])
    return names


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_what_it_may(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        others = imported(path) - set(sys.stdlib_module_names) - PACKAGES[package]
        assert not others, path


def pins(lock: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([a-z0-9._-]+)==(\S+)", lock.read_text(), re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_a_lock_names_hashes_and_no_hosts(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text
    entries = re.split(r"\n(?=[a-z0-9])", text)
    assert all("--hash=sha256:" in entry for entry in entries if not entry.startswith("#"))


def test_the_lock_of_npm_names_hashes_and_no_registry() -> None:
    lock = json.loads((ROOT / "examples" / "typescript" / "package-lock.json").read_text())
    packages = [package for name, package in lock["packages"].items() if name]
    assert len(packages) > 10
    for package in packages:
        assert package["integrity"].startswith("sha512-")
        assert "resolved" not in package  # examples/typescript/.npmrc sees to it


@pytest.mark.parametrize("lock", ["server", "client", "export", "score", "evaluate", "build"])
def test_a_lock_is_a_part_of_the_whole(lock: str) -> None:
    whole = pins(ROOT / "locks" / "dev.txt")
    for name, versions in pins(ROOT / "locks" / f"{lock}.txt").items():
        assert versions <= whole[name], name


def test_the_floors_are_the_lowest_versions_that_client_bundle_and_scorer_ask_for() -> None:
    floors = pins(ROOT / "locks" / "floors.txt")
    for part in ("proto", "client", "bundle", "score"):
        project = project_of(part)
        command = project.get("optional-dependencies", {}).get("cli", [])
        for line in [*project["dependencies"], *command]:
            requirement = Requirement(line)
            if not requirement.name.startswith("sentido-"):
                (lowest,) = [one.version for one in requirement.specifier if one.operator == ">="]
                found = min(map(Version, floors[requirement.name]))
                assert found in SpecifierSet(f"=={lowest}.*") & requirement.specifier, line


INSTALLING = re.compile(r"pip install ((?:'?\./[a-z]+(?:\[[a-z,]+\])?'? ?)+)")


def test_whoever_is_told_to_install_a_part_is_told_all_that_it_needs_of_ours() -> None:
    """Nothing is published, so that pip finds our parts nowhere but in their folders."""
    listed = subprocess.run(
        ["git", "ls-files", "*.md", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    told = 0
    for name in listed.stdout.split():
        text = (ROOT / name).read_text(encoding="utf-8")
        assert not re.search(r"pip install [^`#\n]*sentido[-_][a-z]", text), name
        for command in INSTALLING.findall(text):
            folders = re.findall(r"\./([a-z]+)(?:\[([a-z,]+)\])?", command)
            for folder, extras in folders:
                assert needed(folder, extras.split(",")) <= {one for one, _ in folders}, name
            told += 1
    assert told >= 10


def needed(part: str, extras: list[str]) -> set[str]:
    """Return the folders of ours that a part asks for with these extras."""
    project = project_of(part)
    lines = list(project["dependencies"])
    for extra in filter(None, extras):
        lines += project["optional-dependencies"][extra]
    return {line.split("==")[0].removeprefix("sentido-") for line in lines if "sentido-" in line}


def project_of(part: str) -> dict[str, Any]:
    """Return what the pyproject.toml of a part says of it."""
    text = (ROOT / part / "pyproject.toml").read_text(encoding="utf-8")
    return dict(tomllib.loads(text)["project"])


def test_the_servers_lock_holds_no_tensorflow_and_the_clients_no_onnxruntime() -> None:
    server, client = pins(ROOT / "locks" / "server.txt"), pins(ROOT / "locks" / "client.txt")
    assert not {"tensorflow", "tensorflow-cpu", "keras", "tf2onnx", "onnx"} & set(server)
    assert not {"onnxruntime", "tensorflow", "tensorflow-cpu"} & set(client)
    assert not {"ray", "tensorflow", "tensorflow-cpu", "keras"} & set(
        pins(ROOT / "locks/score.txt")
    )
    assert not {"scikit-learn", "tensorflow", "tensorflow-cpu", "keras"} & set(
        pins(ROOT / "locks/evaluate.txt")
    )
    assert "onnxruntime" in server


def test_the_stubs_are_what_the_proto_files_give(tmp_path: Path) -> None:
    subprocess.run([ROOT / "proto" / "generate", tmp_path], check=True, timeout=60, env=ENVIRONMENT)
    fresh = {p.name: p.read_text() for p in (tmp_path / "sentido" / "v1").iterdir()}
    folder = ROOT / "proto" / "sentido" / "v1"
    committed = {p.name: p.read_text() for p in folder.glob("*_pb2*")}
    assert fresh == committed, "run make stubs"


def test_the_protocol_passes_bufs_standard_rules() -> None:
    result = buf("lint", ROOT / "proto")
    assert (result.stdout, result.stderr, result.returncode) == ("", "", 0)


def test_the_folder_of_the_protocol_holds_all_that_it_imports(tmp_path: Path) -> None:
    """Such as for grpc-js: the languages bring google/protobuf, and no more."""
    for path in (ROOT / "proto").rglob("*.proto"):
        target = tmp_path / path.relative_to(ROOT / "proto")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    result = buf("build", tmp_path, "--output", tmp_path / "image.binpb")
    assert (result.stdout, result.stderr, result.returncode) == ("", "", 0), "run make protos"
    image = FileDescriptorSet.FromString((tmp_path / "image.binpb").read_bytes())
    foreign = {file.name for file in image.file if not file.package.startswith("sentido.")}
    assert foreign == {"google/protobuf/any.proto", "google/rpc/status.proto"}


def buf(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / "buf", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "BUF_CACHE_DIR": str(ROOT / "build" / "buf")},
    )


def test_every_rpc_message_and_field_is_explained() -> None:
    for path in (ROOT / "proto" / "sentido" / "v1").glob("*.proto"):
        lines = path.read_text().splitlines()
        for number, line in enumerate(lines):
            declares = re.match(r"\s*(rpc|message|enum|service) |\s+\S.* = \d+;$", line)
            if declares and not line.strip().startswith("//"):
                assert lines[number - 1].strip().startswith("//"), f"{path.name}:{number + 1}"


def test_no_command_guesses_a_flag_from_a_part_of_its_name() -> None:
    sources = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True)
    parsers = 0
    for name in sources.stdout.split():
        for node in ast.walk(ast.parse((ROOT / name).read_text(encoding="utf-8"))):
            kind = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            parsers += kind in ("Parser", "argparse.ArgumentParser")  # the first never guesses
            if isinstance(node, ast.Call) and "ArgumentParser" in kind:
                assert "allow_abbrev=False" in map(ast.unparse, node.keywords), name
    assert parsers >= 5


def test_the_public_names_of_the_client_are_these() -> None:
    assert set(sentido_client.__all__) == {
        *("AsyncClient", "Client"),
        *("AuthenticationError", "BundleChangedError", "CallCancelledError", "DeadlineError"),
        *("InvalidRequestError", "MissingCapabilityError"),
        *(
            "NotFoundError",
            "OverloadedError",
            "ReloadError",
            "SentidoError",
            "ServerError",
            "TooLargeError",
        ),
        *("PermissionDeniedError", "TLSError"),
        *("UnavailableError", "Violation"),
        *(
            "Limits",
            "Model",
            "Neighbour",
            "Prediction",
            "Preprocessing",
            "Score",
            "Timings",
            "Token",
        ),
        *("TokenEmbeddings", "Tokenization", "Usage", "Word"),
    }
    verbs = {name for name in vars(sentido_client.Client) if not name.startswith("_")}
    assert verbs == {
        *("predict", "embed", "embed_tokens", "lookup", "nearest", "tokenize", "model", "models"),
        *("detokenize", "from_environment", "reload_model"),
        *("health", "limits", "wait_until_ready", "close"),
    }
    assert verbs == {name for name in vars(sentido_client.AsyncClient) if not name.startswith("_")}


def test_the_public_names_of_the_bundle_are_these() -> None:
    assert set(sentido_bundle.__all__) == {
        *(
            "Against",
            "Bundle",
            "BundleError",
            "Cleaner",
            "Cleaning",
            "CleaningError",
            "Encoding",
            "Evaluation",
            "GoldenText",
            "Graphs",
            "Inputs",
            "Int8",
        ),
        *("Layout", "Logits", "Manifest", "MissingCapabilityError", "Neighbour", "Outputs"),
        *("Padding", "Parity", "Precision", "RunLimits", "Task", "TaskKind", "Token", "Tokenizer"),
        *("TokenizerKind", "TokenizerRules", "Truncation", "Vectors", "WordVectors"),
        *("check_plain_name", "check_target", "default_bundle", "fit_vocabulary", "normalize"),
        *("pack_bundle", "write_bundle"),
    }


def test_the_public_names_of_the_scorer_are_these() -> None:
    assert set(sentido_score.__all__) == {
        *("Options", "Report", "RunStats", "ScoreError", "Scorer", "Servers", "score"),
        "score_batches",
    }


@pytest.mark.parametrize("folder", ["server/sentido_server", "client", "score"])
def test_who_uses_a_model_knows_no_architecture(folder: str) -> None:
    for path in (ROOT / folder).rglob("*.py"):
        found = re.search(r"\b(LSTM|GRU|lstm|gru|Steps|Final)\b", path.read_text(encoding="utf-8"))
        assert found is None, f"{path}: {found}"


@pytest.mark.parametrize("module", ["core/batcher", "core/pipeline", "core/rpc", "rpcs/embedding"])
def test_the_server_asks_a_model_for_outputs_by_their_names(module: str) -> None:
    source = (ROOT / "server" / "sentido_server" / f"{module}.py").read_text(encoding="utf-8")
    assert re.search(r"hidden|lengths|padding=|max\(1,", source) is None


def test_every_distribution_has_the_same_version() -> None:
    found = {
        re.search(r'^version = "(.+)"', path.read_text(), re.MULTILINE)[1]  # type: ignore[index]
        for path in ROOT.glob("*/pyproject.toml")
    }
    assert found == {"0.1.0"}


def test_no_two_modules_of_tests_have_one_name() -> None:
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))  # pytest imports them by their names alone
