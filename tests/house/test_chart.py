"""The Helm chart: what it renders for several ways to run, and what it refuses."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from charts import CHART, Resources, render, run
from conftest import BIN
from sentido_bundle.settings import declared
from sentido_server.config import Config
from sentido_server.life import GRACE_SECONDS
from sentido_server.log import GOODBYE_SECONDS
from sentido_server.origins import variable

KUBERNETES = ("1.27.0", kubernetes_validate.latest_version())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VARIABLES = {variable(setting) for setting in declared(Config)}
DIGEST = "sha256:" + "0123456789abcdef" * 4
SECRETS = {"tls": {"secretName": "cert", "clientCA": True}, "tokens": {"secretName": "tokens"}}
VALUES: dict[str, dict[str, Any]] = {
    "default": {},
    "secrets": SECRETS,
    "volume": {"bundle": {"volume": {"claimName": "bundles", "path": "mine/2"}}},
    "image": {"bundle": {"image": {"repository": "mine", "tag": "2"}}},
    "monitored": {
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
    },
    "openshift": {"podSecurityContext": dict.fromkeys(("runAsUser", "runAsGroup", "fsGroup"))},
    "another user": {
        "podSecurityContext": {
            "runAsUser": 1_000_650_000,
            "runAsGroup": 0,
            "fsGroup": 1_000_650_000,
            "supplementalGroups": [1_000_650_001],
            "seLinuxOptions": {"level": "s0:c26,c5"},
        }
    },
    "digests": {
        "image": {"repository": "registry.example/server", "digest": DIGEST},
        "bundle": {"image": {"repository": "registry.example/mine", "digest": DIGEST}},
    },
    "nobody": {"networkPolicy": {"callers": [], "scrapers": []}},
    "mesh": {"tokens": {"secretName": "tokens", "insecure": True}, "maxConnectionAgeSeconds": 0},
    "plain": {
        "replicas": 1,
        "maxConnectionAgeSeconds": 0,
        "metrics": {"enabled": False},
        "autoscaling": {"enabled": False},
        "podDisruptionBudget": {"enabled": False},
        "networkPolicy": {"enabled": False},
    },
    "own": {
        "settings": {"SENTIDO_MAX_TEXT_CHARACTERS": 2_000_000, "SENTIDO_TRANSPORT": "auto"},
        "drain": {"delaySeconds": 10, "seconds": 60},
        "podLabels": {"team": "texts"},
        "podAnnotations": {"a": "b"},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "high",
        "imagePullSecrets": [{"name": "registry"}],
        "networkPolicy": {"egress": [{"ports": [{"port": 4317}]}]},
    },
}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a typo": ({"replica": 3}, "replica"),
    "a setting that is none": ({"settings": {"MAX_TEXTS": 1}}, "MAX_TEXTS"),
    "a setting that is mistyped": ({"settings": {"SENTIDO_THREDS": 4}}, "SENTIDO_THREDS"),
    "a name of the client's": ({"settings": {"SENTIDO_ADDRESS": "a:1"}}, "SENTIDO_ADDRESS"),
    "a digest that is none": ({"image": {"digest": "sha256:abc"}}, "image.digest"),
    "a peer that is nobody or everybody": ({"networkPolicy": {"callers": [{}]}}, "callers.0"),
    "root": ({"podSecurityContext": {"runAsUser": 0}}, "podSecurityContext.runAsUser"),
    "a pod that may run as root": (
        {"podSecurityContext": {"runAsNonRoot": False}},
        "podSecurityContext.runAsNonRoot",
    ),
    "alerts on a job that nobody scrapes": (
        {"prometheusRule": {"enabled": True}},
        "needs serviceMonitor.enabled",
    ),
    "a drain that the pod's grace does not know": (
        {"settings": {"SENTIDO_DRAIN_SECONDS": 600}},
        "SENTIDO_DRAIN_SECONDS",
    ),
    "a port that the probes do not know": (
        {"settings": {"SENTIDO_LISTEN": "[::]:8080"}},
        "SENTIDO_LISTEN",
    ),
    "TLS that the probes do not know": ({"settings": {"SENTIDO_TLS_CERT": "/a"}}, "TLS_CERT"),
    "a section without its values": ({"autoscaling": None}, "autoscaling is required"),
    "a pod that its Service does not find": (
        {"podLabels": {"app.kubernetes.io/name": "mine"}},
        "podLabels",
    ),
    "fewer replicas at most than at least": (
        {"autoscaling": {"minReplicas": 11}},
        "autoscaling.maxReplicas",
    ),
    "two bundles": (
        {"bundle": {"volume": {"claimName": "a", "path": "b"}, "image": {"repository": "c"}}},
        "name one of them",
    ),
    "a volume without a path": ({"bundle": {"volume": {"claimName": "a"}}}, "bundle.volume.path"),
    "a path out of the volume": (
        {"bundle": {"volume": {"claimName": "a", "path": "../b"}}},
        "bundle.volume.path",
    ),
    "a bundle's image without a tag": (
        {"bundle": {"image": {"repository": "c"}}},
        "bundle.image.tag",
    ),
    "client certificates without TLS": ({"tls": {"clientCA": True}}, "tls.secretName"),
    "a monitor of nothing": (
        {"serviceMonitor": {"enabled": True}, "metrics": {"enabled": False}},
        "needs metrics.enabled",
    ),
}


def paths(values: dict[str, Any], *parents: str) -> Iterator[tuple[str, ...]]:
    """Give the path of every value, and of every section."""
    for name, value in values.items():
        yield (*parents, name)
        if isinstance(value, dict):
            yield from paths(value, *parents, name)


def section(values: dict[str, Any], path: Sequence[str]) -> dict[str, Any]:
    """Return the section at a path, made where it is not there."""
    for name in path:
        values = values.setdefault(name, {}) or {}
    return values


def server(resources: Resources) -> dict[str, Any]:
    (container,) = resources["Deployment"]["spec"]["template"]["spec"]["containers"]
    return dict(container)


def settings(resources: Resources) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in server(resources)["env"]}


@pytest.mark.parametrize("name", VALUES)
def test_the_chart_passes_lint_and_kubernetes_own_schemas(
    name: str, helm: str, tmp_path: Path
) -> None:
    linted = run(helm, tmp_path, VALUES[name], "lint", "--strict")
    assert linted.returncode == 0, linted.stdout
    resources = render(helm, tmp_path, VALUES[name])
    for kind in ("ServiceMonitor", "PrometheusRule"):  # of the Prometheus operator
        resources.pop(kind, None)
    for version in KUBERNETES:
        for resource in resources.values():
            kubernetes_validate.validate(resource, version, strict=True)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_meant_is_refused_by_name(name: str, helm: str, tmp_path: Path) -> None:
    values, said = REFUSED[name]
    result = run(helm, tmp_path, values, "template", "release")
    assert result.returncode == 1
    assert said in result.stderr


@pytest.mark.parametrize("name", VALUES)
def test_every_variable_is_a_setting_of_the_server(name: str, helm: str, tmp_path: Path) -> None:
    assert settings(render(helm, tmp_path, VALUES[name])).keys() <= VARIABLES


@pytest.mark.parametrize("name", VALUES)
def test_every_container_is_hardened_and_has_limits(name: str, helm: str, tmp_path: Path) -> None:
    pod = render(helm, tmp_path, VALUES[name])["Deployment"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"].keys() == {"cpu", "memory"}


@pytest.mark.parametrize("name", VALUES)
def test_a_pod_has_as_long_to_stop_as_its_server_can_take(
    name: str, helm: str, tmp_path: Path
) -> None:
    resources = render(helm, tmp_path, VALUES[name])
    drains = sum(int(settings(resources)[f"SENTIDO_DRAIN_{part}"]) for part in ("DELAY", "SECONDS"))
    pod = resources["Deployment"]["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] >= drains + GRACE_SECONDS + GOODBYE_SECONDS


def test_by_default_calls_find_new_replicas_and_pods_are_asked_over_grpc(
    helm: str, tmp_path: Path
) -> None:
    resources = render(helm, tmp_path, {})
    assert resources.keys() == {
        *("Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget"),
        "NetworkPolicy",
    }
    assert resources["Service"]["spec"]["clusterIP"] == "None"
    assert settings(resources)["SENTIDO_MAX_CONNECTION_AGE"] == "300"
    assert "SENTIDO_TRANSPORT" not in settings(resources)  # grpcio, since it listens on a network
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert server(resources)[probe]["grpc"] == {"port": 50051}
    labels = resources["Deployment"]["spec"]["template"]["metadata"]["labels"].items()
    for selector in (
        resources["Service"]["spec"]["selector"],
        resources["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        resources["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
    ):
        assert selector.items() <= labels


def test_with_tls_pods_are_asked_on_a_plain_port_of_its_own(helm: str, tmp_path: Path) -> None:
    resources = render(helm, tmp_path, SECRETS)
    assert settings(resources)["SENTIDO_HEALTH_LISTEN"] == "[::]:50052"
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert server(resources)[probe]["grpc"] == {"port": 50052}


def test_a_secret_is_mounted_and_never_a_value(helm: str, tmp_path: Path) -> None:
    resources = render(helm, tmp_path, SECRETS)
    mounted = {mount["mountPath"] for mount in server(resources)["volumeMounts"]}
    for name in ("TLS_CERT", "TLS_KEY", "TLS_CLIENT_CA", "TOKEN_FILE"):
        assert str(Path(settings(resources)[f"SENTIDO_{name}"]).parent) in mounted


@pytest.mark.parametrize("name", ["volume", "image"])
def test_a_bundle_comes_from_a_volume_or_an_image(name: str, helm: str, tmp_path: Path) -> None:
    resources = render(helm, tmp_path, VALUES[name])
    (mount,) = [m for m in server(resources)["volumeMounts"] if m["name"] == "bundles"]
    assert (mount["mountPath"], mount["readOnly"]) == ("/bundles", True)
    served = {"volume": "/bundles/mine/2", "image": None}  # None: what the image says itself
    assert settings(resources).get("SENTIDO_BUNDLE") == served[name]


def test_several_bundles_of_a_volume_are_named_by_the_settings(helm: str, tmp_path: Path) -> None:
    both = "/bundles/imdb-1:canary=/bundles/imdb-2"
    values = {**VALUES["volume"], "settings": {"SENTIDO_BUNDLE": both}}
    assert settings(render(helm, tmp_path, values))["SENTIDO_BUNDLE"] == both


def test_a_bundle_is_copied_out_of_an_image_again_and_again(helm: str, tmp_path: Path) -> None:
    source, target = tmp_path / "image" / "bundle", tmp_path / "current"
    source.mkdir(parents=True)
    (source / "manifest.json").write_text("{}")
    values = {"bundle": {"image": {"repository": "mine", "tag": "2", "path": str(source)}}}
    pod = render(helm, tmp_path, values)["Deployment"]["spec"]["template"]["spec"]
    *copy, to = pod["initContainers"][0]["command"]
    assert to == "/bundles/current"
    for _ in range(2):  # as Kubernetes does when it makes a pod's sandbox anew
        subprocess.run([*copy, target], check=True)
        assert [file.name for file in target.iterdir()] == ["manifest.json"]


def test_the_command_that_the_chart_names_is_one() -> None:
    notes = (CHART / "templates" / "NOTES.txt").read_text()
    (line,) = re.findall(r"^  sentido (.*)", notes, re.MULTILINE)
    words = shlex.split(re.sub(r"{{.*?}}", "x", line))
    said = subprocess.run([BIN / "sentido", *words, "--help"], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr


def test_a_setting_wins_and_a_large_number_stays_whole(helm: str, tmp_path: Path) -> None:
    found = settings(render(helm, tmp_path, VALUES["own"]))
    assert found["SENTIDO_MAX_TEXT_CHARACTERS"] == "2000000"
    assert found["SENTIDO_TRANSPORT"] == "auto"


def test_the_schema_lists_every_setting_but_those_that_ports_probes_and_grace_must_know() -> None:
    listed = SCHEMA["properties"]["settings"]["propertyNames"]["enum"]
    of_the_chart = {
        *("DRAIN_DELAY", "DRAIN_SECONDS", "LISTEN", "HEALTH_LISTEN", "METRICS_LISTEN"),
        *("TLS_CERT", "TLS_KEY", "TLS_CLIENT_CA", "TOKEN_FILE", "INSECURE_TOKENS"),
    }
    assert set(listed) == VARIABLES - {f"SENTIDO_{name}" for name in of_the_chart}


def test_what_is_left_empty_is_refused_by_name_or_left_out(helm: str, tmp_path: Path) -> None:
    """`autoscaling:` with nothing below it is null in YAML, and null takes a default away."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    may_be_left_out: dict[str, Any] = {}
    for *parents, name in paths(values):
        schema = SCHEMA
        for parent in parents:
            schema = schema["properties"][parent]
        if name not in schema.get("required", ()):
            section(may_be_left_out, parents)[name] = None
    assert {"settings", "resources", "podLabels"} <= may_be_left_out.keys()
    for extra in ({}, {"bundle": {"image": {"repository": "a", "digest": DIGEST}}}):
        resources = render(helm, tmp_path, {**may_be_left_out, **extra})
        for resource in resources.values():
            kubernetes_validate.validate(resource, KUBERNETES[0], strict=True)


def test_a_version_with_a_build_makes_labels_that_kubernetes_takes(
    helm: str, tmp_path: Path
) -> None:
    version = "1.2.3+build.4"
    versions = ("--version", version, "--app-version", version)
    package = [helm, "package", str(CHART), *versions, "--destination", str(tmp_path)]
    subprocess.run(package, check=True, capture_output=True)
    made = subprocess.run(
        [helm, "template", "release", tmp_path / f"sentido-{version}.tgz"],
        capture_output=True,
        text=True,
        check=True,
    )
    for resource in yaml.safe_load_all(made.stdout):
        labels = resource["metadata"]["labels"]
        assert labels["helm.sh/chart"] == "sentido-1.2.3_build.4"
        assert labels["app.kubernetes.io/version"] == "1.2.3_build.4"
        if resource["kind"] == "Deployment":
            assert server({"Deployment": resource})["image"] == "sentido-server:1.2.3_build.4"


def test_a_policy_that_assigns_users_and_groups_can_have_them_left_out(
    helm: str, tmp_path: Path
) -> None:
    for values, user in (
        (VALUES["openshift"], {}),
        (VALUES["another user"], VALUES["another user"]["podSecurityContext"]),
    ):
        pod = render(helm, tmp_path, values)["Deployment"]["spec"]["template"]["spec"]
        assert pod["securityContext"] == {
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
            **user,
        }


def test_a_policy_with_nobody_in_it_lets_nobody_in(helm: str, tmp_path: Path) -> None:
    def ingress(**who: Any) -> list[dict[str, Any]]:
        resources = render(helm, tmp_path, {"networkPolicy": who})
        assert "Ingress" in resources["NetworkPolicy"]["spec"]["policyTypes"]
        return list(resources["NetworkPolicy"]["spec"]["ingress"])

    anybody: list[dict[str, Any]] = [{"podSelector": {}}]
    grpc = {"from": anybody, "ports": [{"port": "grpc"}]}
    metrics = {"from": anybody, "ports": [{"port": "metrics"}]}
    assert ingress() == [grpc, metrics]
    assert ingress(callers=[]) == [metrics]
    assert ingress(scrapers=[]) == ingress(scrapers=None) == [grpc]
    assert ingress(callers=[], scrapers=[]) == []


def test_an_image_is_named_by_its_digest_where_there_is_one(helm: str, tmp_path: Path) -> None:
    resources = render(helm, tmp_path, VALUES["digests"])
    assert server(resources)["image"] == f"registry.example/server@{DIGEST}"
    (copy,) = resources["Deployment"]["spec"]["template"]["spec"]["initContainers"]
    assert copy["image"] == f"registry.example/mine@{DIGEST}"
    assert server(render(helm, tmp_path, {}))["image"] == "sentido-server:0.1.0"


def test_a_pod_answers_both_ip_families_and_gets_no_variables_of_services(
    helm: str, tmp_path: Path
) -> None:
    resources = render(helm, tmp_path, SECRETS)
    assert resources["Service"]["spec"]["ipFamilyPolicy"] == "PreferDualStack"
    assert resources["Deployment"]["spec"]["template"]["spec"]["enableServiceLinks"] is False
    listens = {
        name: value for name, value in settings(resources).items() if name.endswith("_LISTEN")
    }
    assert len(listens) == 2
    assert all(value.startswith("[::]:") for value in listens.values())
