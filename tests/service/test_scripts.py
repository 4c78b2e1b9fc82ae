"""Lua scripts: their keys and arguments arrive as declared, and they touch no key that they do not declare."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import redis

from api.idempotency import ReleaseHold, RenewHold
from facevitals.local.broker import Broker
from shared.access.quotas import Quotas
from shared.jobs.connection import connect
from shared.jobs.job_store import JobStore
from shared.jobs.keys import LEASES, READY, WEBHOOKS, Key, record_key, waiting_key, waveforms_key
from shared.jobs.lua import Script
from shared.jobs.overdue import STRANDED_S
from shared.jobs.queues import make_celery
from shared.jobs.scripts.common import CHANGED
from shared.jobs.scripts.completion import FinishJob
from shared.jobs.scripts.submission import DeleteJob
from shared.jobs.webhooks import Webhooks
from shared.jobs.worker_registry import WorkerCard, put_card
from shared.schemas import BranchOutcome, BranchStatus, JobOptions, Wave, Waveforms
from shared.settings import Settings
from shared.vitals import Branch

DONE = BranchOutcome(status=BranchStatus.OK, elapsed_ms=1)
WAVES = Waveforms(waves={"heart_rate": Wave(times_s=[0.0], values=[1.0])})


@pytest.fixture
def jobs(broker: Broker) -> Iterator[JobStore]:
    store = JobStore.connect(broker.url, 600)
    yield store
    store.close()


def create(jobs: JobStore, job_id: str, **options: Any) -> None:  # noqa: ANN401
    key = f"clips/{job_id}"
    made = jobs.submissions.create(
        job_id, list(Branch), JobOptions(**options), owner="me", clip_key=key, deadline_s=60, max_active=9
    )
    assert made is not None


@dataclass(frozen=True, kw_only=True)
class Echo(Script[list[Any]]):
    """Return the arguments."""

    source: ClassVar[str] = """
return {record, tostring(number + 1), tostring(ratio * 2), text, flag and 'yes' or 'no', absent or 'nil',
  table.concat(records, ','), table.concat(names, ','), tostring(limits[1] + limits[2])}
"""

    names: tuple[str, ...]
    record: Key
    number: int
    ratio: float
    text: str
    flag: bool
    records: tuple[Key, ...]
    absent: str | None
    limits: tuple[int, ...]


def test_keys_and_arguments_of_every_type_arrive(jobs: JobStore) -> None:
    for names, flag in ((("a", "b"), True), ((), False)):
        script = Echo(
            names=names,
            record=Key("k1"),
            number=41,
            ratio=0.25,
            text="it's",
            flag=flag,
            records=(Key("k2"), Key("k3")),
            absent=None,
            limits=(3, 4),
        )
        assert script.all_keys() == ["k1", "k2", "k3"]
        expected = ["k1", "42", "0.5", "it's", "yes" if flag else "no", "nil", "k2,k3", ",".join(names), "7"]
        # By its hash, and by its text after the broker has forgotten it.
        assert script.run(jobs.redis) == expected
        jobs.redis.script_flush()
        assert script.run(jobs.redis) == expected
        with jobs.redis.pipeline() as pipe:
            script.eval(pipe)
            assert pipe.execute() == [expected]


@pytest.fixture
def guarded(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> Iterator[set[type[Script[Any]]]]:
    """Run each script as a user of the broker who may touch the script's declared keys alone; yield what was run."""
    ran: set[type[Script[Any]]] = set()
    admin: Any = connect(broker.url)
    allow_all = ("on", ">probe", "+@all", "allchannels")
    admin.execute_command("ACL", "SETUSER", "probe", *allow_all)
    probe = redis.Redis.from_url(re.sub("//:.*@", "//probe:probe@", broker.url), decode_responses=True)
    run = Script.run

    def run_as_probe(script: Script[Any], _: Any) -> Any:  # noqa: ANN401
        ran.add(type(script))
        patterns = [f"~{key}" for key in script.all_keys()]
        assert not re.search(r"[*?\[\\]", "".join(patterns)), "a key is no pattern"
        admin.execute_command("ACL", "SETUSER", "probe", "resetkeys", *patterns)
        return run(script, probe)

    monkeypatch.setattr(Script, "run", run_as_probe)
    monkeypatch.setattr(Script, "eval", run_as_probe)
    yield ran
    probe.close()
    admin.close()


@dataclass(frozen=True, kw_only=True)
class Careless(Script[int]):
    """Touches a key that it does not declare."""

    source: ClassVar[str] = "return redis.call('INCR', record .. ':count')"
    record: Key


def test_a_script_that_touches_an_undeclared_key_is_found(jobs: JobStore, guarded: set[type[Script[Any]]]) -> None:
    with pytest.raises(redis.exceptions.ResponseError, match="ACL failure"):
        Careless(record=Key("fv:job:one")).run(jobs.redis)
    assert guarded == {Careless}


def product_scripts() -> set[type[Script[Any]]]:
    return {script for script in Script.__subclasses__() if not script.__module__.startswith("tests.")}


def test_scripts_name_their_keys_and_arguments() -> None:
    assert len(product_scripts()) > 15
    for script in product_scripts():
        assert not re.search(r"KEYS|ARGV|'fv:(?!wake')|'fvq:", script.source), script


def test_scripts_touch_no_key_that_they_do_not_declare(
    broker: Broker, jobs: JobStore, guarded: set[type[Script[Any]]], tmp_path: Path
) -> None:
    client = jobs.redis
    # A job that its workers finish, and that is deleted.
    create(jobs, "one", webhook_url="https://receiver.example/")
    for branch in Branch:
        lease = jobs.leases.of("one", branch)
        assert lease.begin(60) == "go"
        assert lease.renew()
        assert jobs.events.of("one").emit_stage(branch, "decoding", 1)
        jobs.outcomes.complete("one", branch, DONE, WAVES)
    assert client.hget(record_key("one"), "state") == "succeeded"
    webhooks = Webhooks(client)
    assert [webhook.job_id for webhook in webhooks.take(5)] == ["one"]
    webhooks.put_back("one", 0)
    webhooks.postpone("one", 1)
    assert client.zscore(WEBHOOKS, "one")
    assert client.exists(waveforms_key("one"))
    assert jobs.records.delete("one")
    # A job whose worker is lost twice, and one whose message is lost.
    create(jobs, "two")
    for again in (True, False):
        jobs.leases.of("two", Branch.RPPG).begin(60)
        jobs.leases.of("two", Branch.RPPG).expire()
        assert [lost.again for lost in jobs.overdue.lost_tries()] == [again]
    client.delete("fvq:vision")
    client.zadd(waiting_key(Branch.VISION), {"two": float(client.hget(record_key("two"), "created")) - STRANDED_S - 1})
    assert jobs.overdue.stranded(Branch.VISION) == ["two"]
    jobs.overdue.requeue("two", Branch.VISION)
    jobs.outcomes.time_out("two")
    assert not list(jobs.overdue.lost_tries())
    assert client.zscore(READY, "two") is None
    assert client.zcard(LEASES) == 0
    # Scripts that are not about one job.
    put_card(client, WorkerCard(id="host:1", queues=["rppg"], device="cpu", models=[]))
    assert Quotas(client).acquire("key:me", "place", rate_per_min=9, max_active=9).admission == "admitted"
    client.set("fv:idem:me:1:held", "token", ex=60)
    assert RenewHold(hold=Key("fv:idem:me:1:held"), token="token", ttl_s=9).run(client)
    assert ReleaseHold(hold=Key("fv:idem:me:1:held"), token="token").run(client)
    with make_celery(Settings(redis_url=broker.url, data_dir=tmp_path)).connection_for_read() as connection:
        connection.SimpleQueue("vision").get(timeout=5).ack()
    assert guarded == product_scripts()


def test_a_job_that_changed_owner_between_two_steps_is_read_again(jobs: JobStore) -> None:
    create(jobs, "one")
    before = jobs.redis.hgetall(record_key("one"))
    own: dict[str, Any] = {
        name: Key(name)
        for name in (
            *("events", "waves", "deadlines", "ready", "webhooks", "leases", "working", "erase", "counters", "active"),
            *("batch_active", "batch", "batch_bytes"),
        )
    }
    names = tuple(Branch)
    shared: dict[str, Any] = {
        "record": record_key("one"),
        "job_id": "one",
        "clip_key": None,
        "ttl_s": 9,
        "branches": names,
        "waiting": tuple(map(waiting_key, names)),
    }
    del own["counters"]
    batch: dict[str, Any] = {"batch_queues": (), "batch_messages": ()}
    assert DeleteJob(owner="another", **own, **shared, **batch).run(jobs.redis) == CHANGED
    finish: dict[str, Any] = {
        "state": "failed",
        "finished_at": "",
        "document": "{}",
        "has_webhook": False,
        "counters_ttl_s": 9,
        "counters": Key("counters"),
        "usage": Key("usage"),
        "usage_ttl_s": 9,
        "clip_ms": 0,
        "counted": (),
    }
    assert FinishJob(owner="another", **own, **shared, **finish).run(jobs.redis) == CHANGED
    assert FinishJob(owner="me", **own, **{**shared, "branches": ("rppg",)}, **finish).run(jobs.redis) == CHANGED
    assert jobs.redis.hgetall(record_key("one")) == before
