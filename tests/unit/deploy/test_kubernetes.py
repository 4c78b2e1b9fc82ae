"""deploy/kubernetes: the manifests follow the schemas of Kubernetes and KEDA and the needs of the service."""

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from cloudcoil.models.keda.v1alpha1 import ScaledObject, TriggerAuthentication

from shared.jobs.queues import ALL_QUEUES, BROKER_PREFIX, QUEUES
from shared.settings import Settings

FOLDER = Path(__file__).parents[3] / "deploy/kubernetes"
#: The oldest release that is still maintained upstream, and the newest that the schemas know.
RELEASES = ("1.34", "1.37")
#: KEDA's kinds are not part of Kubernetes; models generated from KEDA's schemas check them.
KEDA_KINDS = {"ScaledObject": ScaledObject, "TriggerAuthentication": TriggerAuthentication}

Manifest = dict[str, Any]


@cache
def base() -> list[Manifest]:
    """Every manifest that the kustomization of the base lists, and the example of the secret."""
    listed = yaml.safe_load((FOLDER / "base/kustomization.yaml").read_text())["resources"]
    texts = [(FOLDER / "base" / name).read_text() for name in [*listed, "secret.example.yaml"]]
    return [manifest for text in texts for manifest in yaml.safe_load_all(text)]


def of_kind(kind: str) -> dict[str, Manifest]:
    return {manifest["metadata"]["name"]: manifest for manifest in base() if manifest["kind"] == kind}


def pods() -> dict[str, Manifest]:
    """The pod template of each workload."""
    workloads = {**of_kind("Deployment"), **of_kind("StatefulSet")}
    return {name: workload["spec"]["template"] for name, workload in workloads.items()}


def named(manifest: Manifest) -> str:
    return f"{manifest['kind']}-{manifest['metadata']['name']}"


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("manifest", [one for one in base() if one["kind"] not in KEDA_KINDS], ids=named)
def test_manifests_follow_the_schemas_of_kubernetes(manifest: Manifest, release: str) -> None:
    kubernetes_validate.validate(manifest, release, strict=True)


@pytest.mark.parametrize("manifest", [one for one in base() if one["kind"] in KEDA_KINDS], ids=named)
def test_manifests_of_keda_follow_its_schemas(manifest: Manifest) -> None:
    read = KEDA_KINDS[manifest["kind"]].model_validate(manifest)
    # The models drop unknown fields, so an unchanged manifest has none.
    assert read.model_dump(by_alias=True, exclude_unset=True) == manifest


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not installed here")
@pytest.mark.parametrize("variant", ["base", "gpu"])
def test_kustomize_renders_the_variants(variant: str) -> None:
    command = ["kubectl", "kustomize", str(FOLDER / variant)]
    rendered = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    manifests = [manifest for manifest in yaml.safe_load_all(rendered) if manifest["kind"] not in KEDA_KINDS]
    for manifest in manifests:
        kubernetes_validate.validate(manifest, RELEASES[0], strict=True)
    workers = [
        one for one in manifests if one["metadata"]["name"].startswith("worker-") and one["kind"] == "Deployment"
    ]
    assert len(workers) == len(QUEUES)
    for worker in workers:
        (container,) = worker["spec"]["template"]["spec"]["containers"]
        limits = container["resources"]["limits"]
        device = [variable["value"] for variable in container["env"] if variable["name"] == "FACEVITALS_DEVICE"]
        if variant == "gpu":
            assert limits["nvidia.com/gpu"] == 1
            assert device == ["cuda"]
            assert "facevitals-worker-gpu:" in container["image"]
        else:
            assert "nvidia.com/gpu" not in limits
            assert not device


def test_every_setting_in_the_manifests_exists() -> None:
    known = {f"FACEVITALS_{name.upper()}" for name in Settings.model_fields}
    text = "".join(path.read_text() for path in FOLDER.rglob("*.yaml"))
    assert set(re.findall(r"FACEVITALS_[A-Z0-9_]+", text)) <= known


def test_every_queue_has_workers_that_scale_with_its_length() -> None:
    scaled = of_kind("ScaledObject")
    workers = of_kind("Deployment")
    for queue in QUEUES.values():
        name = f"worker-{queue}"
        (container,) = workers[name]["spec"]["template"]["spec"]["containers"]
        assert container["command"] == ["facevitals", "worker", "--queues", queue]
        assert "replicas" not in workers[name]["spec"], "KEDA and the manifest would both set it"
        assert scaled[name]["spec"]["scaleTargetRef"]["name"] == name
        triggers = scaled[name]["spec"]["triggers"]
        lists = [trigger["metadata"]["listName"] for trigger in triggers]
        assert lists == [f"{BROKER_PREFIX}{queue}", f"{BROKER_PREFIX}{queue}.batch"]
        assert {listed.removeprefix(BROKER_PREFIX) for listed in lists} <= set(ALL_QUEUES)
        for trigger in triggers:
            assert trigger["type"] == "redis"
            assert trigger["metadata"]["address"] == "valkey.facevitals.svc.cluster.local:6379"
            assert trigger["authenticationRef"]["name"] in of_kind("TriggerAuthentication")


def test_a_stopped_worker_may_finish_its_clip() -> None:
    hard_limit_s = Settings.model_fields["branch_hard_limit_s"].default
    for queue in QUEUES.values():
        assert pods()[f"worker-{queue}"]["spec"]["terminationGracePeriodSeconds"] > hard_limit_s


@pytest.mark.parametrize("name", ["gateway", "valkey", "worker-vision", "worker-rppg"])
def test_every_pod_has_least_privileges(name: str) -> None:
    spec = pods()[name]["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "memory" in container["resources"]["limits"]
    assert container["livenessProbe"]


def test_secrets_come_from_the_secret_only() -> None:
    (secret,) = of_kind("Secret").values()
    assert all("change-me" in value for value in secret["stringData"].values())
    referred = {
        variable["valueFrom"]["secretKeyRef"]["key"]
        for pod in pods().values()
        for variable in pod["spec"]["containers"][0].get("env", [])
        if "valueFrom" in variable
    }
    for authentication in of_kind("TriggerAuthentication").values():
        referred |= {reference["key"] for reference in authentication["spec"]["secretTargetRef"]}
    assert referred == set(secret["stringData"])


def test_the_broker_equals_that_of_the_compose_file() -> None:
    compose = yaml.safe_load((FOLDER.parents[1] / "docker-compose.yml").read_text())["services"]["valkey"]
    (container,) = pods()["valkey"]["spec"]["containers"]
    assert container["image"] == compose["image"]
    assert container["args"][: len(compose["command"])] == compose["command"]


def test_workers_can_reach_only_the_broker_and_the_store() -> None:
    policies = of_kind("NetworkPolicy")
    assert policies["nothing"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    broker, store = policies["workers"]["spec"]["egress"]
    assert broker["to"] == [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "valkey"}}}]
    assert store == {"ports": [{"protocol": "TCP", "port": 443}]}
    for queue in QUEUES.values():
        labels = pods()[f"worker-{queue}"]["metadata"]["labels"]
        assert labels["app.kubernetes.io/component"] == "worker"
