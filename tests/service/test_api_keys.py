"""API keys and their limits over HTTP: created, rotated and revoked without a restart."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from typer.testing import CliRunner

from facevitals.cli import app
from shared.access.api_keys import KeyRing, Scope, new_webhook_secret
from shared.jobs.keys import WEBHOOKS
from shared.settings import settings
from tests.service.conftest import LOOKS_LIKE_MP4, Service, end_service, new_service, wait_until

WEBHOOK_SECRET = new_webhook_secret()
SETTINGS_KEY = "a-key-of-the-settings"
MakeService = Callable[..., Service]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A gateway that requires keys, without workers."""
    service = new_service(
        tmp_path_factory.mktemp("guarded") / "service",
        require_keys=True,
        cors_origins="https://app.example, https://other.example:8443",
        job_deadline_s=600,
        log_level="debug",
        webhook_secret=WEBHOOK_SECRET,
        api_keys=SETTINGS_KEY,
    )
    yield service
    end_service(service)


def kind(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].rsplit(":", 1)[1]


@pytest.fixture
def facevitals(guarded: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """The command line in this process: separate processes would take half a minute."""
    for name, value in guarded.env.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()

    def run(*arguments: str, ok: bool = True) -> str:
        result = CliRunner().invoke(app.app, arguments)
        assert (result.exit_code == 0) is ok, result.output
        return result.stdout

    yield run
    settings.cache_clear()


def submit(service: Service, key: str) -> httpx.Response:
    with service.client() as client:
        return client.post("/v1/jobs", content=LOOKS_LIKE_MP4, headers={"X-API-Key": key})


def test_a_key_is_created_rotated_and_revoked_from_the_command_line(
    guarded: Service, facevitals: Callable[..., str]
) -> None:
    with guarded.client() as client:
        assert kind(client.post("/v1/jobs", content=LOOKS_LIKE_MP4)) == (401, "key-missing")
    made = json.loads(facevitals("keys", "create", "clinic", "--json"))
    key_id, first = made["id"], made["key"]
    job = submit(guarded, first).json()["id"]

    listed = facevitals("keys", "list", "--json")
    entry = next(entry for entry in json.loads(listed) if entry["id"] == key_id)
    assert entry["name"] == "clinic"
    assert entry["last_used_at"]
    assert first not in listed
    assert made["webhook_secret"] not in listed
    assert "clinic" in facevitals("keys", "list")

    second = json.loads(facevitals("keys", "rotate", key_id, "--json"))["key"]
    assert kind(submit(guarded, first)) == (403, "key-refused")
    with guarded.client() as client:
        assert client.get(f"/v1/jobs/{job}", headers={"X-API-Key": second}).status_code == 200

    facevitals("keys", "revoke", key_id)
    assert kind(submit(guarded, second)) == (403, "key-refused")
    facevitals("keys", "revoke", key_id, ok=False)
    assert "revoked" in facevitals("keys", "list")


def test_the_broker_stores_only_the_hash_of_a_key(guarded: Service) -> None:
    made = KeyRing(guarded.redis).create("hashed")
    assert submit(guarded, made.key).status_code == 202
    secret = made.key.rsplit("_", 1)[1]
    values = [
        str(guarded.redis.hgetall(name) if guarded.redis.type(name) == "hash" else guarded.redis.type(name))
        for name in guarded.redis.scan_iter(match="fv:*")
    ]
    assert values
    assert not [value for value in values if secret in value]


def test_a_rotated_secret_works_until_its_grace_period_ends(guarded: Service) -> None:
    ring = KeyRing(guarded.redis)
    made = ring.create("graceful")
    new = ring.rotate(made.stored.id, grace_s=600)
    assert submit(guarded, made.key).status_code == submit(guarded, new.key).status_code == 202
    # Simulates that this time has passed.
    guarded.redis.hincrbyfloat(ring.key(made.stored.id), "previous_until", -600)
    assert kind(submit(guarded, made.key)) == (403, "key-refused")
    assert submit(guarded, new.key).status_code == 202


def test_a_key_is_limited_to_its_scopes_and_its_own_jobs(guarded: Service) -> None:
    ring = KeyRing(guarded.redis)
    writer = {"X-API-Key": ring.create("writer", scopes=frozenset({Scope.SUBMIT})).key}
    reader = {"X-API-Key": ring.create("reader", scopes=frozenset({Scope.READ})).key}
    whole = {"Authorization": f"Bearer {ring.create('whole').key}"}
    with guarded.client() as client:
        assert client.post("/v1/jobs", content=LOOKS_LIKE_MP4, headers=writer).status_code == 202
        assert kind(client.post("/v1/jobs", content=LOOKS_LIKE_MP4, headers=reader)) == (403, "scope-missing")
        assert client.post("/save_video", content=LOOKS_LIKE_MP4, headers=reader).status_code == 403
        job = client.post("/v1/jobs", content=LOOKS_LIKE_MP4, headers=whole).json()["id"]
        assert kind(client.get(f"/v1/jobs/{job}", headers=writer)) == (403, "scope-missing")
        for path in ("", "/events", "/waveforms", "/fhir"):
            assert kind(client.get(f"/v1/jobs/{job}{path}", headers=reader)) == (404, "unknown-job")
        assert kind(client.delete(f"/v1/jobs/{job}", headers=reader)) == (403, "scope-missing")
        assert client.delete(f"/v1/jobs/{job}", headers=whole).status_code == 204


def test_a_key_over_its_rate_gets_a_retry_after(guarded: Service) -> None:
    made = KeyRing(guarded.redis).create("fast", rate_per_min=2)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: submit(guarded, made.key), range(8)))
    refused = [answer for answer in answers if answer.status_code != 202]
    # A burst may use the rate of a minute; one more submission is allowed every thirty seconds.
    assert 5 <= len(refused) <= 6
    assert {kind(answer) for answer in refused} == {(429, "rate-exceeded")}
    wait_s = int(refused[0].headers["retry-after"])
    assert 1 <= wait_s <= 30
    assert kind(submit(guarded, made.key)) == (429, "rate-exceeded")
    # Simulates that this time has passed.
    guarded.redis.incrbyfloat(f"fv:rate:{made.stored.owner}", -wait_s)
    assert submit(guarded, made.key).status_code == 202


def test_a_key_has_a_limit_of_active_jobs(guarded: Service) -> None:
    key = KeyRing(guarded.redis).create("few", rate_per_min=0, max_active=2).key
    first, second = (submit(guarded, key) for _ in range(2))
    refused = submit(guarded, key)
    assert kind(refused) == (429, "too-many-active")
    assert int(refused.headers["retry-after"]) > 0
    with guarded.client() as client:
        old = client.post("/save_video", content=LOOKS_LIKE_MP4, headers={"X-API-Key": key})
        assert (old.status_code, old.json()["success"], old.headers["retry-after"]) == (429, False, "2")
        assert client.delete(f"/v1/jobs/{first.json()['id']}", headers={"X-API-Key": key}).status_code == 204
        bad = client.post("/v1/jobs", content=b"GIF89a", headers={"X-API-Key": key})
        assert bad.status_code == 415
    assert submit(guarded, key).status_code == 202
    # A job that ends releases its place as well.
    guarded.jobs.outcomes.time_out(second.json()["id"])
    assert submit(guarded, key).status_code == 202
    assert kind(submit(guarded, key)) == (429, "too-many-active")


def test_an_open_gateway_serves_only_its_machine_and_needs_a_key_once_one_exists(
    make_service: MakeService,
) -> None:
    service = make_service()
    job = service.submit()
    with service.client() as client:
        for header in ("X-Forwarded-For", "Forwarded", "X-Real-IP"):
            through_proxy = {header: "203.0.113.7"}
            assert client.get(f"/v1/jobs/{job}").status_code == 200
            assert kind(client.get(f"/v1/jobs/{job}", headers=through_proxy)) == (401, "key-missing")
            assert client.post("/save_video", content=LOOKS_LIKE_MP4, headers=through_proxy).status_code == 401
    ring = KeyRing(service.redis)
    made = ring.create("first")
    with service.client() as client:
        wait_until(lambda: client.get(f"/v1/jobs/{job}").status_code == 401, "the gateway requires a key")
        ring.revoke(made.stored.id)
        time.sleep(1.2)
        assert client.get(f"/v1/jobs/{job}").status_code == 401
        service.children[0].stop(6)
        service.start_gateway()
        assert client.get(f"/v1/jobs/{job}").status_code == 401
        assert client.get("/livez").status_code == 200


def test_a_webhook_to_a_loopback_address_is_not_sent(guarded: Service) -> None:
    key = KeyRing(guarded.redis).create("hooked").key
    with socket.create_server(("127.0.0.1", 0)) as inside, guarded.client() as client:
        inside.settimeout(2)
        url = f"https://localhost:{inside.getsockname()[1]}/"
        query = {"webhook_url": url, "retain_clip": "true"}
        answer = client.post("/v1/jobs", content=LOOKS_LIKE_MP4, params=query, headers={"X-API-Key": key})
        job = answer.json()["id"]
        guarded.jobs.outcomes.time_out(job)
        wait_until(lambda: guarded.redis.zscore(WEBHOOKS, job) is None, "the webhook is given up")
        given_up = next(line for line in guarded.whole_logs().splitlines() if job in line and "given up" in line)
        assert "the address is not public" in given_up
        with pytest.raises(TimeoutError):
            inside.accept()


def test_logs_contain_no_key_password_token_or_clip(guarded: Service) -> None:
    made = KeyRing(guarded.redis).create("logged")
    rejected = ("fv_aaaaaaaaaaaa_" + "0" * 64, "guessed-k3y")
    mark = "a face that no one else may see"
    query = {"webhook_url": "https://localhost:1/hook?token=webhook-t0ken"}
    with guarded.client() as client:
        for sent in (made.key, SETTINGS_KEY, *rejected):
            headers = {"Authorization": f"Bearer {sent}"}
            answer = client.post("/v1/jobs", content=LOOKS_LIKE_MP4 + mark.encode(), params=query, headers=headers)
            assert (answer.status_code == 202) is (sent not in rejected)
            if answer.status_code == 202:
                job = answer.json()["id"]
                guarded.jobs.outcomes.time_out(job)
        headers = {"X-API-Key": made.key, "Content-Type": "multipart/form-data; boundary=x"}
        assert client.post("/v1/jobs", content=mark.encode() * 100, headers=headers).status_code == 422
    wait_until(lambda: guarded.redis.zscore(WEBHOOKS, job) is None, "its webhook is given up")
    logs = guarded.whole_logs()
    assert job in logs
    password = guarded.broker.url.split(":")[2].split("@")[0]
    secrets = (made.key.rsplit("_", 1)[1], made.webhook_secret, WEBHOOK_SECRET, SETTINGS_KEY, password)
    assert not [secret for secret in (*secrets, *rejected, "webhook-t0ken", mark, "ftypmp42") if secret in logs]


def test_only_listed_origins_are_allowed(guarded: Service) -> None:
    preflight_headers = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    with guarded.client() as client:
        listed = client.options("/v1/jobs", headers={"Origin": "https://app.example", **preflight_headers})
        assert listed.status_code == 200
        assert listed.headers["access-control-allow-origin"] == "https://app.example"
        assert "access-control-allow-credentials" not in listed.headers
        answer = client.get("/v1/models", headers={"Origin": "https://other.example:8443"})
        assert answer.status_code == 401
        assert answer.headers["access-control-allow-origin"] == "https://other.example:8443"
        for origin in ("https://evil.example", "https://app.example.evil.example", "null", "http://app.example"):
            unlisted = client.options("/v1/jobs", headers={"Origin": origin, **preflight_headers})
            assert unlisted.status_code == 400
            assert "access-control-allow-origin" not in unlisted.headers
            assert "access-control-allow-origin" not in client.get("/livez", headers={"Origin": origin}).headers


def test_every_response_has_the_security_headers(guarded: Service) -> None:
    with guarded.client() as client:
        preflight = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
        for answer in (
            client.get("/livez"),
            client.get("/v1/jobs/none"),
            client.get("/nowhere"),
            client.post("/v1/jobs", content=b""),
            client.options("/v1/jobs", headers=preflight),
            client.get("/"),
        ):
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert answer.headers["x-frame-options"] == "DENY"
            assert answer.headers["cross-origin-opener-policy"] == "same-origin"
            assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        private = client.get("/v1/jobs/none")
        assert private.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in private.headers["content-security-policy"]


@pytest.mark.parametrize("origins", ["*", "https://app.example/path", "app.example", "https://app.example,*"])
def test_an_invalid_list_of_origins_is_refused_at_start(origins: str) -> None:
    from api.app import create_app
    from shared.settings import Settings

    with pytest.raises(ValueError, match="CORS_ORIGINS"):
        create_app(Settings(redis_url="redis://127.0.0.1:1/0", cors_origins=origins))


@pytest.mark.parametrize(("require_keys", "api_keys"), [(True, ""), (False, "k")])
def test_a_gateway_beyond_loopback_starts_only_with_keys(require_keys: bool, api_keys: str) -> None:
    from api.app import create_app
    from shared.settings import Settings

    everywhere = Settings(redis_url="redis://127.0.0.1:1/0", host="0.0.0.0")
    with pytest.raises(ValueError, match="without API keys"):
        create_app(everywhere)
    with pytest.raises(ValueError, match="without API keys"):
        create_app(everywhere.model_copy(update={"api_keys": " , "}))
    create_app(everywhere.model_copy(update={"require_keys": require_keys, "api_keys": api_keys}))
