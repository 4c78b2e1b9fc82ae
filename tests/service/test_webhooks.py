"""Webhooks from a real gateway to a real HTTPS receiver: signed, retried across restarts, stopped by 410."""

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import pytest
import standardwebhooks
from prometheus_client.parser import text_string_to_metric_families

from api.authentication import Caller
from api.problems import BadParameter
from api.ssrf_guard import parse_networks
from api.webhooks import AT_ONCE, TRIES, TRY_S, Sender, check_settings, checked_url, try_once
from facevitals.local.broker import crash, start_broker
from shared.access.api_keys import KeyRing, new_webhook_secret
from shared.jobs.keys import WEBHOOKS
from shared.jobs.webhooks import HOLD_S, Outcome, Webhooks
from shared.schemas import BranchOutcome, BranchStatus, JobOptions
from shared.settings import Settings
from shared.vitals import Branch
from tests.service.conftest import LOOKS_LIKE_MP4, Service, end_service, gateway_in_process, new_service, wait_until
from tests.service.receiver import Receiver, make_certificates, receiving

SECRET = new_webhook_secret()
Receive = Callable[..., AbstractContextManager[Receiver]]


@pytest.fixture(scope="module")
def leaf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    authority, leaf = make_certificates(tmp_path_factory.mktemp("certificates"))
    with pytest.MonkeyPatch.context() as patch:
        # Gateways of this module read the authority from this variable, as in a deployment.
        patch.setenv("SSL_CERT_FILE", str(authority))
        yield leaf


@pytest.fixture(scope="module")
def receive(leaf: Path) -> Receive:
    return partial(receiving, leaf)


def webhook_service(folder: Path, **settings: object) -> Service:
    given = {"webhook_secret": SECRET, "webhook_allow": "127.0.0.0/8, ::1/128", "webhook_retry_s": 0.2, **settings}
    return new_service(folder, **given)


@pytest.fixture(scope="module")
def service(leaf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = webhook_service(tmp_path_factory.mktemp("webhooks") / "service")
    yield service
    end_service(service)


def counted(service: Service) -> dict[str, int]:
    """The counters of outcomes in the metrics."""
    with service.client() as client:
        families = {family.name: family for family in text_string_to_metric_families(client.get("/metrics").text)}
    samples = families["facevitals_webhooks"].samples
    return {sample.labels["outcome"]: int(sample.value) for sample in samples if sample.name.endswith("_total")}


@contextmanager
def counting(service: Service, **more: int) -> Iterator[None]:
    """Check that the block adds at least these counts to the outcomes; webhooks of other tests may add more."""
    before = counted(service)
    assert before.keys() == set(Outcome)
    yield
    after = counted(service)
    for name, count in more.items():
        assert after[name] - before[name] >= count, name


def submit(service: Service, url: str, key: str | None = None) -> str:
    """Submit a clip and end its job as its last worker would; the analysis is not needed here."""
    headers = {"X-API-Key": key} if key else {}
    with service.client() as client:
        answer = client.post("/v1/jobs", content=LOOKS_LIKE_MP4, params={"webhook_url": url}, headers=headers)
    assert answer.status_code == 202, answer.text
    job = str(answer.json()["id"])
    for branch in Branch:
        service.jobs.outcomes.write(job, branch, BranchOutcome(status=BranchStatus.OK, elapsed_ms=1))
    service.jobs.completion.finish(job)
    return job


def settled(service: Service, job: str) -> None:
    wait_until(lambda: service.redis.zscore(WEBHOOKS, job) is None, "the webhook is done")


def put_off(service: Service, job: str) -> bool:
    """Whether a try has ended and the next one is scheduled; during a try the webhook is held for a minute."""
    return service.redis.hget(f"fv:job:{job}", "webhook_tries") is not None and (
        (service.redis.zscore(WEBHOOKS, job) or 0) < time.time() + HOLD_S - TRY_S
    )


def test_a_finished_job_is_posted_once_with_a_standard_signature(service: Service, receive: Receive) -> None:
    with counting(service, delivered=1), receive(204) as receiver:
        job = submit(service, receiver.url("/hook/7?token=t0ken"))
        wait_until(lambda: receiver.requests, "the webhook is received")
        settled(service, job)
        time.sleep(1)
        (request,) = receiver.requests
    assert request.path == "/hook/7?token=t0ken"
    assert request.headers["host"] == f"localhost:{receiver.port}"
    # A third party may log the message id, so it must not contain the job's id.
    assert re.fullmatch("msg_[0-9A-HJKMNP-TV-Z]{26}", request.headers["webhook-id"])
    assert job not in request.headers["webhook-id"]
    # Verified with the standard's library, which also refuses a timestamp that is off by more than five minutes.
    body = standardwebhooks.Webhook(SECRET).verify(request.body, request.headers)
    assert body["type"] == "job.succeeded"
    assert body["data"] == service.document(job)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(SECRET).verify(request.body.replace("succeeded", "failed"), request.headers)
    assert "t0ken" not in service.logs()


def test_a_form_can_request_a_webhook(service: Service, receive: Receive) -> None:
    with receive(200) as receiver, service.client() as client:
        form = {"webhook_url": receiver.url()}
        job = client.post("/v1/jobs", files={"clip": LOOKS_LIKE_MP4}, data=form).json()["id"]
        # A failed job is reported as well.
        service.jobs.outcomes.time_out(job)
        wait_until(lambda: receiver.requests, "the webhook is received")
        assert json.loads(receiver.requests[0].body)["type"] == "job.failed"


def test_a_failed_delivery_is_retried_with_the_same_message(service: Service, receive: Receive) -> None:
    with counting(service, retried=2, delivered=1), receive(500, (503, {"Retry-After": "2"}), 200) as receiver:
        job = submit(service, receiver.url())
        settled(service, job)
    _, second, third = receiver.requests
    assert third.at_s - second.at_s >= 2
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1
    assert len({request.body for request in receiver.requests}) == 1
    for request in receiver.requests:
        standardwebhooks.Webhook(SECRET).verify(request.body, request.headers)


def test_a_410_stops_the_deliveries(service: Service, receive: Receive) -> None:
    with counting(service, gone=1), receive(410) as receiver:
        job = submit(service, receiver.url())
        wait_until(lambda: receiver.requests, "the webhook is received")
        settled(service, job)
        time.sleep(1.5)
        assert len(receiver.requests) == 1


def test_a_redirect_is_not_followed(service: Service, receive: Receive) -> None:
    with receive(200) as inside, receive((307, {"Location": inside.url("/secret")}), 200) as receiver:
        submit(service, receiver.url())
        wait_until(lambda: len(receiver.requests) == 2, "it is retried at the original address")
        assert not inside.requests


def test_retries_end_after_the_last_delay(leaf: Path, tmp_path: Path) -> None:
    broker = start_broker(tmp_path / "broker")
    settings = Settings(redis_url=broker.url, data_dir=tmp_path, webhook_secret=SECRET, webhook_allow="127.0.0.0/8")
    gateway = gateway_in_process(settings)
    queue, jobs = Webhooks(gateway.jobs.redis), gateway.jobs

    async def try_until_it_is_over() -> list[float]:
        waits, sender = [], Sender(parse_networks(settings.webhook_networks))
        while due := queue.take(1):
            await try_once(gateway, queue, sender, due[0])
            score = jobs.redis.zscore(WEBHOOKS, "01J")
            if score is not None:
                waits.append(score - time.time())
                # The delays grow to hours, so each retry is made due at once.
                jobs.redis.zadd(WEBHOOKS, {"01J": 0})
        await sender.close()
        return waits

    try:
        with receiving(leaf, 500) as receiver:
            options = JobOptions(webhook_url=receiver.url())
            jobs.submissions.create("01J", list(Branch), options, owner="-", clip_key="clips/01J", deadline_s=60)
            jobs.outcomes.time_out("01J")
            waits = asyncio.run(try_until_it_is_over())
        assert len(receiver.requests) == TRIES == len(waits) + 1
        assert sorted(waits) == waits
        assert waits[-1] > 6 * 3600
        assert jobs.counters.read()["webhooks:given_up"] == 1
        assert jobs.counters.read()["webhooks:retried"] == len(waits)
    finally:
        jobs.close()
        broker.child.stop(3)


def test_a_certificate_for_another_name_is_not_trusted(service: Service, tmp_path: Path) -> None:
    _, other_leaf = make_certificates(tmp_path, names=("receiver.example",))
    with receiving(other_leaf, 200) as receiver:
        job = submit(service, receiver.url())
        wait_until(lambda: service.redis.hget(f"fv:job:{job}", "webhook_tries") not in {None, "1"}, "two tries")
        assert not receiver.requests


def test_deleting_the_job_ends_its_webhook(service: Service, receive: Receive) -> None:
    with receive(500) as receiver, service.client() as client:
        job = submit(service, receiver.url())
        wait_until(lambda: receiver.requests, "the first try")
        client.delete(f"/v1/jobs/{job}")
        count = len(receiver.requests)
        time.sleep(2)
        assert len(receiver.requests) <= count + 1
        assert service.redis.zscore(WEBHOOKS, job) is None


@pytest.fixture(scope="module")
def keyed(leaf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service without a webhook secret; each of its keys has one."""
    given = {"webhook_secret": "", "webhook_retry_s": 1, "require_keys": True}
    service = webhook_service(tmp_path_factory.mktemp("keyed") / "service", **given)
    yield service
    end_service(service)


def test_without_a_secret_a_webhook_is_refused() -> None:
    plain, guarded = Settings(), Settings(webhook_secret=SECRET)
    for caller, settings in ((Caller("-"), plain), (Caller("0123456789abcdef"), plain)):
        with pytest.raises(BadParameter, match="no secret to sign with"):
            checked_url("https://receiver.example/hook", settings, caller)
    for caller, settings in ((Caller("-"), guarded), (Caller("key:abc"), plain)):
        assert checked_url("https://receiver.example/hook", settings, caller) == "https://receiver.example/hook"


@pytest.mark.parametrize("secret", ["whsec_c2hvcnQ=", "whsec_???", "secret", "whsec_"])
def test_an_invalid_secret_is_refused_at_start(secret: str) -> None:
    with pytest.raises(ValueError, match="WEBHOOK_SECRET"):
        check_settings(Settings(webhook_secret=secret))
    with pytest.raises(ValueError, match="WEBHOOK_ALLOW"):
        check_settings(Settings(webhook_allow="10.0.0.0/8, everything"))


def test_a_webhook_survives_restarts_of_gateway_and_broker_and_is_signed_with_its_keys_secrets(
    keyed: Service, leaf: Path
) -> None:
    ring = KeyRing(keyed.redis)
    made = ring.create("hooked")
    newer = ring.rotate_webhook_secret(made.stored.id, grace_s=600)
    with receiving(leaf, 503, 204) as receiver:
        job = submit(keyed, receiver.url(), made.key)
        wait_until(lambda: put_off(keyed, job), "the first try is over")
        gateway, broker = keyed.children[-1], keyed.broker
        gateway.process.kill()
        gateway.process.wait()
        crash(broker)
        port, password = int(broker.url.rsplit(":", 1)[1].split("/")[0]), broker.url.split(":")[2].split("@")[0]
        keyed.broker = start_broker(keyed.folder / "broker", port=port, password=password)
        keyed.start_gateway()
        settled(keyed, job)
    _, again = receiver.requests
    assert json.loads(again.body)["data"]["id"] == job
    # After a rotation both secrets sign until the grace period ends.
    for secret in (made.webhook_secret, newer):
        standardwebhooks.Webhook(secret).verify(again.body, again.headers)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(ring.create("another").webhook_secret).verify(again.body, again.headers)


def test_stalled_receivers_do_not_delay_the_webhooks_of_another_key(keyed: Service, leaf: Path) -> None:
    ring = KeyRing(keyed.redis)
    stalling, prompt = (ring.create(name).key for name in ("stalling", "prompt"))
    with stalling_server() as stalled, receiving(leaf, 204) as receiver:
        # More than a gateway sends at once.
        jobs = [submit(keyed, f"https://localhost:{stalled.port}/", stalling) for _ in range(40)]
        wait_until(lambda: stalled.most_open >= 8, "the first ones have stalled")
        submit(keyed, receiver.url(), prompt)
        wait_until(lambda: receiver.requests, "the other key's webhook is received")
        # Eight at once, and some whose end is noticed late; without a limit it would reach AT_ONCE.
        assert stalled.most_open < AT_ONCE / 2
        with keyed.client() as client:
            for job in jobs:
                client.delete(f"/v1/jobs/{job}", headers={"X-API-Key": stalling})


@dataclass
class Stalled:
    """Counts of accepted connections that get no response."""

    port: int
    open: int = 0
    most_open: int = 0


@contextmanager
def stalling_server() -> Iterator[Stalled]:
    """A server that accepts connections and does not respond."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        stalled, counting = Stalled(server.getsockname()[1]), threading.Lock()

        def hold(wire: socket.socket) -> None:
            with counting:
                stalled.open += 1
                stalled.most_open = max(stalled.open, stalled.most_open)
            with wire, suppress(OSError):
                while wire.recv(4096):
                    pass
            with counting:
                stalled.open -= 1

        def accept() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=hold, args=(server.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield stalled
        # Closing alone does not wake a thread that waits in `accept`.
        server.shutdown(socket.SHUT_RDWR)


def test_a_revoked_key_sends_no_webhooks(keyed: Service, leaf: Path) -> None:
    ring = KeyRing(keyed.redis)
    made = ring.create("revoked")
    with receiving(leaf, (500, {"Retry-After": "20"})) as receiver:
        job = submit(keyed, receiver.url(), made.key)
        wait_until(lambda: put_off(keyed, job), "the first try is over")
        ring.revoke(made.stored.id)
        # Simulates that this time has passed.
        keyed.redis.zadd(WEBHOOKS, {job: 0}, xx=True)
        settled(keyed, job)
        assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://receiver.example/hook",
        "https://127.0.0.1/hook",
        "https://127.1/hook",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://user:secret@receiver.example/",
        "https://receiver.example/#fragment",
        "https://receiver.example:0/",
        "https://receiver.example:65536/",
        "https://receiver.example\\@localhost/",
        "https://receiver.example/\r\nX: y",
        "https://-receiver.example/",
        "https:///hook",
        "file:///etc/passwd",
        "https://receiver.example/" + "x" * 1100,
    ],
)
def test_an_invalid_webhook_url_is_refused_and_leaves_no_clip(service: Service, url: str) -> None:
    def clips() -> set[Path]:
        return {path for path in service.clips if "clips" in path.parts and path.parent.name == "clips"}

    before = clips()
    with service.client() as client:
        in_query: httpx.Response = client.post("/v1/jobs", content=LOOKS_LIKE_MP4, params={"webhook_url": url})
        in_form = client.post("/v1/jobs", files={"clip": LOOKS_LIKE_MP4}, data={"webhook_url": url})
    assert [in_query.status_code, in_form.status_code] == [422, 422]
    assert clips() <= before
