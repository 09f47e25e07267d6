"""Who imports whom between the rooms of a package: downwards only, and never in a circle."""

import re
import sys
from graphlib import CycleError, TopologicalSorter

import pytest
from conftest import ROOT
from rooms import PACKAGES, imports, modules, within
from sentido.v1 import embedding_pb2, model_pb2, prediction_pb2, tokenizer_pb2
from sentido_score.format_names import FORMATS, TABLES
from sentido_score.formats.opening import READERS
from sentido_score.output.parts import WRITERS
from sentido_server.app import RPCS

ROOMS = {  # what each room imports besides itself, rooms and modules
    "sentido_server": {
        "core": {"lines", "log"},
        "rpcs": {"core"},
        "security": {"address", "config", "core", "log"},
        "telemetry": {"address", "core", "loading", "log"},
        "transports": {"address", "config", "core", "log"},
    },
    "sentido_score": {
        "files": {"callbacks", "errors", "format_names", "options"},
        "formats": {"callbacks", "errors", "files", "format_names", "options", "ordered"},
        "engines": {"callbacks", "errors", "files", "formats", "options", "ordered"},
        "output": {"engines", "errors", "files", "format_names", "formats", "options"},
    },
    "sentido_export": {
        "imported": {  # labelled texts and how they are held out, but nothing that trains
            *(
                "cleaning",
                "data",
                "errors",
                "machine",
                "package",
                "remembered",
                "report",
                "split",
                "tables",
                "weights",
            ),
        },
    },
    "sentido_evaluate": {
        "figures": set(),  # which know no model, no file and no page
        "behaviour": {"errors", "figures"},
        "page": set(),  # which is drawn from the JSON alone
    },
}
DOWNWARDS = ("sentido_export", "sentido_evaluate", "sentido_score", "sentido_bundle")
GRPC = {"health_check", "security.secrets", "security.tls", "transports"}  # who imports it


@pytest.mark.parametrize("package", PACKAGES)
def test_no_modules_import_each_other_in_a_circle(package: str) -> None:
    graph = within(package)
    assert sum(map(len, graph.values())) > 5  # it has found them
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"{package}: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize("package", ROOMS)
def test_a_room_imports_only_what_lies_below_it(package: str) -> None:
    for name, others in within(package).items():
        room = name.partition(".")[0]
        if room in ROOMS[package]:
            rooms = {other.partition(".")[0] for other in others} - {room}
            assert rooms <= ROOMS[package][room], name


@pytest.mark.parametrize("package", DOWNWARDS)
def test_a_package_imports_those_below_it_and_none_above(package: str) -> None:
    above = DOWNWARDS[: DOWNWARDS.index(package)]
    used = {full.split(".")[0] for path in modules(package).values() for full in imports(path)}
    assert package in used  # it has found them
    assert not used & {*above}


def test_the_exporter_reads_and_hears_signals_as_the_scorer_does_and_knows_no_more_of_it() -> None:
    used = {
        full.split(".")[1]
        for path in modules("sentido_export").values()
        for full in imports(path)
        if full.startswith("sentido_score.")
    }
    assert "formats" in used
    assert used <= ROOMS["sentido_score"]["formats"] | {"formats", "signals"}


def test_grpc_is_known_only_to_those_who_speak_it() -> None:
    for name, path in modules("sentido_server").items():
        if any(full.partition(".")[0] == "grpc" for full in imports(path)):
            assert {name, name.partition(".")[0]} & GRPC, name


def test_the_table_of_rpcs_is_what_the_protocol_has() -> None:
    files = (prediction_pb2, embedding_pb2, tokenizer_pb2, model_pb2)
    methods = {
        method.full_name
        for file in files
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }
    assert len(files) == len(list((ROOT / "proto/sentido/v1").glob("*.proto"))) - 1  # and common
    assert sorted(rpc.method.full_name for rpc in RPCS) == sorted(methods)


def test_every_format_of_a_file_has_a_reader_and_every_table_a_writer() -> None:
    assert {*READERS} == {*FORMATS}
    assert {*WRITERS} == {*TABLES}


def test_settings_need_nothing_but_python() -> None:
    for module in ("settings", "command_line"):
        path = modules("sentido_bundle")[module]
        used = {full.partition(".")[0] for full in imports(path)}
        assert used <= sys.stdlib_module_names, used


def test_the_flags_of_all_commands_are_made_of_declared_settings() -> None:
    """But for those that are no settings: --version, --config, --print-config and --check."""
    by_hand = {
        (package, name)
        for package in PACKAGES
        for name, path in modules(package).items()
        if ".add_argument(" in path.read_text(encoding="utf-8")
    }
    assert by_hand == {
        ("sentido_bundle", "command_line"),
        ("sentido_bundle", "settings"),
        ("sentido_server", "config"),
        ("sentido_server", "health_check"),
        ("sentido_server", "origins"),
    }


def test_only_the_server_and_the_client_read_settings_from_the_environment() -> None:
    for package in ("sentido_bundle", "sentido_export", "sentido_score", "sentido_evaluate"):
        for name, path in modules(package).items():
            text = path.read_text(encoding="utf-8")
            read = re.findall(r"""environ(?:\.get\(|\[)["'](SENTIDO_\w+)""", text)
            assert not read, f"{package}.{name}"
