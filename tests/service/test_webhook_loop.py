"""The loop that sends webhooks survives errors: an invalid record affects only its own webhook."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api import webhooks
from api.dependencies import Gateway
from api.webhooks import send_forever
from facevitals.local.broker import start_broker
from shared.access.api_keys import new_webhook_secret
from shared.jobs.keys import WEBHOOKS, record_key
from shared.jobs.webhooks import Outcome, Webhook, Webhooks
from shared.observability.audit import configure_audit
from shared.schemas import JobOptions
from shared.settings import Settings
from shared.vitals import Branch
from tests.service.conftest import gateway_in_process
from tests.service.receiver import make_certificates, receiving

#: Invalid records of finished jobs: fields that are changed, and fields that are missing (None).
BAD: dict[str, dict[str, str | None]] = {
    "half an option": {"options": '{"webhook_url": "https://'},
    "options of another release": {"options": '{"webhook_url": {"to": "https://receiver.example/"}}'},
    "no options": {"options": None},
    "no address": {"options": "{}"},
    "an address that is none": {"options": '{"webhook_url": "https://receiver:port/"}'},
    "tries that are no number": {"webhook_tries": "many"},
    "no owner": {"owner": None},
    "no end": {"finished_at": None},
}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def gateway(certificates: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    authority, _ = certificates
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    broker = start_broker(tmp_path / "broker")
    settings = Settings(
        redis_url=broker.url,
        data_dir=tmp_path,
        webhook_secret=new_webhook_secret(),
        webhook_allow="127.0.0.0/8, ::1/128",
    )
    gateway = gateway_in_process(settings)
    yield gateway
    gateway.records.redis.close()
    broker.child.stop(3)


def finished_job(gateway: Gateway, job: str, url: str) -> None:
    options = JobOptions(webhook_url=url)
    gateway.jobs.submissions.create(job, list(Branch), options, owner="-", clip_key=f"clips/{job}", deadline_s=60)
    gateway.jobs.outcomes.time_out(job)


def run_until(gateway: Gateway, true: Callable[[], object]) -> None:
    """Run the loop until `true()` holds; fail if the loop ends by itself."""

    async def run() -> None:
        loop = asyncio.create_task(send_forever(gateway))
        end = time.monotonic() + 30
        while not await asyncio.to_thread(true):
            assert not loop.done(), "the loop ended"
            assert time.monotonic() < end, "timed out"
            await asyncio.sleep(0.05)
        loop.cancel()
        with pytest.raises(asyncio.CancelledError):
            await loop

    asyncio.run(run())


def test_invalid_records_are_dropped_and_counted_and_the_next_webhook_is_sent(
    gateway: Gateway, certificates: tuple[Path, Path]
) -> None:
    redis = gateway.records.redis
    with receiving(certificates[1], 204) as receiver:
        for job, fields in BAD.items():
            finished_job(gateway, job, receiver.url())
            for name, value in fields.items():
                if value is None:
                    redis.hdel(record_key(job), name)
                else:
                    redis.hset(record_key(job), name, value)
        finished_job(gateway, "no record", receiver.url())
        redis.set(record_key("no record"), "a text", ex=60)
        # They are due before the valid one, and there are more of them than are taken at once.
        redis.zadd(WEBHOOKS, dict.fromkeys((*BAD, "no record"), 0.0))
        finished_job(gateway, "good", receiver.url())
        run_until(gateway, lambda: not Webhooks(redis).waiting())
        assert [request.path for request in receiver.requests] == ["/hook"]
    counters = gateway.jobs.counters.read()
    assert counters["webhooks:broken"] == len(BAD) + 1
    assert counters[f"webhooks:{Outcome.DELIVERED}"] == 1


def test_a_result_that_was_delivered_is_in_the_audit_log(
    gateway: Gateway, certificates: tuple[Path, Path], tmp_path: Path
) -> None:
    log = tmp_path / "audit.jsonl"
    assert configure_audit(gateway.settings.model_copy(update={"audit_log": log}))
    try:
        with receiving(certificates[1], 204) as receiver:
            finished_job(gateway, "good", receiver.url())
            run_until(gateway, lambda: not Webhooks(gateway.records.redis).waiting())
            host = receiver.url().split("/")[2]
    finally:
        configure_audit(gateway.settings)
    (line,) = (json.loads(line) for line in log.read_text().splitlines())
    assert (line["action"], line["outcome"], line["job"], line["status"]) == ("send_webhook", "ok", "good", 204)
    assert host not in log.read_text()


def test_an_unexpected_error_does_not_end_the_loop(
    gateway: Gateway, certificates: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    take, monkeys = Webhooks.take, iter([RuntimeError("unforeseen"), TypeError("so is this")])

    def failing(queue: Webhooks, most: int) -> list[Webhook]:
        for error in monkeys:
            raise error
        return take(queue, most)

    monkeypatch.setattr(Webhooks, "take", failing)
    monkeypatch.setattr(webhooks, "AFTER_UNFORESEEN_S", 0.1)
    with receiving(certificates[1], 204) as receiver:
        finished_job(gateway, "good", receiver.url())
        run_until(gateway, lambda: not Webhooks(gateway.records.redis).waiting())
        assert len(receiver.requests) == 1


def test_the_loop_waits_for_missing_certificates(
    gateway: Gateway, certificates: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    late = tmp_path / "late.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(late))
    monkeypatch.setattr(webhooks, "AFTER_UNFORESEEN_S", 0.1)
    begun = time.monotonic()

    def there() -> bool:
        if time.monotonic() > begun + 1 and not late.exists():
            late.write_bytes(certificates[0].read_bytes())
        return not Webhooks(gateway.records.redis).waiting()

    with receiving(certificates[1], 204) as receiver:
        finished_job(gateway, "good", receiver.url())
        run_until(gateway, there)
        assert len(receiver.requests) == 1
