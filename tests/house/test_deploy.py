"""The files that images, compose and Prometheus are made from, without an engine."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from charts import CHART
from conftest import BIN, ROOT
from dashboard import panels, questions
from sentido_bundle.settings import declared
from sentido_client.environment import from_environment
from sentido_server.config import Config
from sentido_server.life import GRACE_SECONDS
from sentido_server.log import GOODBYE_SECONDS
from sentido_server.origins import unknown_variables, variable

DOCKERFILES = sorted(ROOT.glob("*/Dockerfile"))
VARIABLES = {variable(setting) for setting in declared(Config)}
OTHER_THREADS = 500  # that are not of calls: computing, scrapes, gRPC's own, a check of health
COMPOSE = [ROOT / "docker-compose.yml", ROOT / "deploy" / "compose.scale.yml"]


class Loader(yaml.SafeLoader):
    """Reads what compose adds to YAML, too."""


Loader.add_constructor("!reset", lambda *_: [])


def services(path: Path) -> dict[str, dict[str, Any]]:
    return dict(yaml.load(path.read_text(), Loader)["services"])


def test_there_is_a_dockerfile_for_the_server_the_exporter_and_the_client() -> None:
    assert [path.parent.name for path in DOCKERFILES] == ["client", "export", "server"]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_hadolint_has_nothing_to_say(path: Path) -> None:
    result = subprocess.run(
        [BIN / "hadolint", "--no-color", path], capture_output=True, text=True, timeout=60
    )
    assert (result.stdout, result.stderr, result.returncode) == ("", "", 0)


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_a_dockerfile_fetches_no_syntax_and_names_no_host(path: Path) -> None:
    text = path.read_text()
    assert "syntax=" not in text
    assert "://" not in text.replace("dns:///server", "")
    assert "--require-hashes" in text


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_an_image_has_all_of_ours_that_its_part_depends_on(path: Path) -> None:
    project = tomllib.loads((path.parent / "pyproject.toml").read_text())["project"]
    needed = re.findall(r"^sentido-([a-z]+)", "\n".join(project["dependencies"]), re.MULTILINE)
    assert needed
    for part in needed:
        assert f"COPY {part} {part}\n" in path.read_text()
        assert re.search(rf" \./{part} ", path.read_text())


def test_an_image_is_built_with_all_that_a_wheel_is_made_of() -> None:
    sent = set((ROOT / ".dockerignore").read_text().splitlines())
    texts = "\n".join(path.read_text() for path in DOCKERFILES)
    parts = set(re.findall(r"^COPY (\w+) \1$", texts, re.MULTILINE))
    assert parts >= {"bundle", "evaluate", "score"}
    for part in parts:
        project = tomllib.loads((ROOT / part / "pyproject.toml").read_text())
        wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
        files = wheel.get("packages", wheel.get("only-include"))
        for name in ("pyproject.toml", "README.md", "LICENSE", *files):
            assert f"!{part}/{name}" in sent


def test_all_images_have_one_base() -> None:
    texts = [path.read_text() for path in DOCKERFILES]
    assert (
        len({re.findall(r"^ARG PYTHON_IMAGE=(.+)$", text, re.MULTILINE)[0] for text in texts}) == 1
    )


def test_every_image_from_outside_is_named_by_its_digest() -> None:
    bases = [
        re.findall(r"^ARG PYTHON_IMAGE=(.+)$", p.read_text(), re.MULTILINE) for p in DOCKERFILES
    ]
    images = [image for base in bases for image in base]
    images += [
        service["image"]
        for path in COMPOSE
        for service in services(path).values()
        if "image" in service
    ]
    outside = {image for image in images if not image.startswith("sentido-")}
    assert {image.split(":")[0] for image in outside} == {
        "python",
        "prom/prometheus",
        "grafana/grafana",
    }
    for image in outside:
        assert re.fullmatch(r"[a-z/]+:[\w.-]+@sha256:[0-9a-f]{64}", image), image


def test_no_container_asks_for_more_cpus_than_the_smallest_machine_has() -> None:
    for path in COMPOSE:
        for name, service in services(path).items():
            limits = service.get("deploy", {}).get("resources", {}).get("limits", {})
            assert float(limits.get("cpus", 1)) <= 1, name  # else one with one CPU refuses it


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.name)
def test_every_container_is_hardened_and_has_limits(path: Path) -> None:
    found = services(path)
    if path.name == "compose.scale.yml":
        assert found.pop("server") == {"ports": []}
    for name, service in found.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        if name != "seed":
            limits = set(service["deploy"]["resources"]["limits"])
            if service.get("cpu_quota") == "${SENTIDO_CPUS:-2}00000":
                assert service["cpu_period"] == 100_000
                limits.add("cpus")
            assert limits == {"cpus", "memory", "pids"}
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), name


def test_the_variables_that_images_and_compose_set_are_the_servers() -> None:
    text = (ROOT / "server" / "Dockerfile").read_text()
    used = set(re.findall(r"^\s+(SENTIDO_\w+)=", text, re.MULTILINE))
    used |= services(COMPOSE[0])["server"]["environment"].keys()
    assert used >= {"SENTIDO_LISTEN", "SENTIDO_BUNDLE"}
    assert used <= VARIABLES


def test_the_variables_of_other_parts_are_known_to_the_server_and_silent() -> None:
    files = [
        *(path for part in ("client", "score", "export") for path in (ROOT / part).rglob("*.py")),
        *COMPOSE,
    ]
    text = "".join(path.read_text() for path in files)
    named = set(re.findall(r"\bSENTIDO_[A-Z_]*[A-Z]\b", text))
    assert named >= {"SENTIDO_ADDRESS", "SENTIDO_CONNECT_CA", "SENTIDO_TAG", "SENTIDO_CPUS"}
    environ = dict.fromkeys(named - VARIABLES, "1")
    assert Config.load([], environ) == Config()
    assert unknown_variables(Config, environ) == []


def test_the_variables_of_other_parts_are_known_to_the_client_and_silent() -> None:
    composes = set(re.findall(r"\$\{(SENTIDO_\w+)", "".join(path.read_text() for path in COMPOSE)))
    assert "SENTIDO_PORT" in composes
    kubernetes = {"SENTIDO_SERVICE_HOST", "SENTIDO_PORT_50051_TCP_ADDR", "SENTIDO_SERVICE_PORT"}
    others = {"SENTIDO_CONFIG", "SENTIDO_MINE_OWN"} | composes | kubernetes
    assert from_environment(dict.fromkeys(VARIABLES | others, "1")) == {}


def test_a_container_has_as_long_to_stop_as_the_server_can_take() -> None:
    server = services(COMPOSE[0])["server"]
    grace = int(server["stop_grace_period"].removesuffix("s"))
    drains = server["environment"]["SENTIDO_DRAIN_SECONDS"]
    assert grace >= drains + GRACE_SECONDS + GOODBYE_SECONDS


def test_a_container_may_have_every_thread_that_calls_can_take() -> None:
    text = COMPOSE[0].read_text()
    limits = services(COMPOSE[0])["server"]["deploy"]["resources"]["limits"]
    assert limits["memory"] == "1g"
    here, anywhere = (Config(max_memory_mib=mib).most_threads() for mib in (1024, 1024**2))
    assert f"{here:,} at most with this memory, {anywhere:,} with any" in text
    assert limits["pids"] > anywhere + OTHER_THREADS


@pytest.mark.needs("promtool")
def test_prometheus_accepts_its_configuration_the_alerts_and_the_dashboards_questions(
    tmp_path: Path,
) -> None:
    rules = [{"record": f"panel:{n}", "expr": text} for n, text in enumerate(questions().values())]
    asked = tmp_path / "dashboard.yml"
    asked.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    for check, file in (("config", ROOT / "deploy" / "prometheus.yml"), ("rules", asked)):
        result = subprocess.run(
            ["promtool", "check", check, file], capture_output=True, text=True, timeout=60
        )
        assert result.returncode == 0, result.stdout + result.stderr


def test_every_metric_that_is_asked_for_is_documented() -> None:
    documented = set(
        re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "metrics.md").read_text(), re.MULTILINE)
    )
    alerts = (CHART / "alerts.yml").read_text()
    used = set(re.findall(r"\b(?:sentido|process)_\w+", " ".join([*questions().values(), alerts])))
    assert len(used) > 15
    series = {re.sub(r"_(bucket|sum|count)$", "", name) for name in used}
    assert series <= documented


def test_grafana_finds_the_dashboard_and_its_data() -> None:
    folder = ROOT / "deploy" / "grafana" / "provisioning"
    (source,) = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text())[
        "datasources"
    ]
    (provider,) = yaml.safe_load((folder / "dashboards" / "sentido.yml").read_text())["providers"]
    assert source["url"] == "http://prometheus:9090"
    mounts = [volume.split(":")[:2] for volume in services(COMPOSE[0])["grafana"]["volumes"]]
    assert ["./deploy/grafana/dashboards", provider["options"]["path"]] in mounts
    for panel in panels():
        assert panel["datasource"]["uid"] == source["uid"]


@pytest.mark.parametrize("part", ["server", "client", "export"])
def test_an_image_is_made_of_the_module_that_its_command_starts(part: str) -> None:
    project = tomllib.loads((ROOT / part / "pyproject.toml").read_text())["project"]
    copied = (ROOT / ".dockerignore").read_text().splitlines()
    for entry in project["scripts"].values():
        module = entry.partition(":")[0].partition(".")[0]
        assert {f"!{part}/{module}", f"!{part}/{module}.py"} & set(copied), entry
