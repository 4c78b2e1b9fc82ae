"""Clips in both stores, encrypted: written, read by a worker and erased at the end, even when a process is killed."""

import asyncio
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import httpx
import pytest

from api.dependencies import Gateway
from api.sweep import sweep_jobs, sweep_store
from facevitals.local.broker import start_broker
from shared.clips.encryption import ClipEncryptor, ClipKey
from shared.clips.store import CLIPS, ClipMissingError, ClipStore, StoreUnavailableError, SweepRefusedError
from shared.schemas import JobOptions
from shared.settings import Settings
from shared.vitals import Branch
from tests.service.bucket import Bucket, make_bucket, s3_server
from tests.service.conftest import LOOKS_LIKE_MP4, Service, end_service, gateway_in_process, new_service, wait_until

MARK = b"a face that no one else may see"
CLIP = LOOKS_LIKE_MP4 + MARK * 9000


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with s3_server() as address:
        yield address


@pytest.fixture
def bucket(endpoint: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    name = "".join(letter if letter.isalnum() else "-" for letter in request.node.name.lower())[:60].strip("-")
    return make_bucket(endpoint, name, monkeypatch)


@dataclass
class Stored:
    """A service, with access to its store without the project's own code."""

    service: Service
    bucket: Bucket | None

    @contextlib.contextmanager
    def holding(self) -> Iterator[None]:
        """Hold the rppg branch of jobs that are submitted in the block."""
        hold = self.service.folder / "hold"
        hold.touch()
        try:
            yield
        finally:
            hold.unlink()

    def contents(self) -> dict[str, bytes]:
        if self.bucket is not None:
            return {key: self.bucket.read(key) for key in self.bucket.all_keys()}
        folder, found = self.service.folder / "clips", {}
        for path in folder.rglob("*"):
            # The file may be erased after the folder was listed.
            with contextlib.suppress(FileNotFoundError, IsADirectoryError):
                found[str(path.relative_to(folder))] = path.read_bytes()
        return found


def encrypting_service(folder: Path, **settings: object) -> Service:
    """A service that encrypts its clips and logs at the debug level, with a worker that can be held at one branch."""
    service = new_service(folder, encrypt_clips=True, log_level="debug", **settings)
    service.start_worker("vision,rppg", "tests.service.faulty_worker", FAULT_RPPG="held", FAULT_KEEP="1")
    return service


@pytest.fixture(scope="module")
def in_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    service = encrypting_service(tmp_path_factory.mktemp("file") / "service")
    yield Stored(service, None)
    end_service(service)


@pytest.fixture(scope="module")
def in_bucket(endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    with pytest.MonkeyPatch.context() as patch:
        bucket = make_bucket(endpoint, "clips", patch)
        service = encrypting_service(tmp_path_factory.mktemp("s3") / "service", store_url=bucket.url)
        yield Stored(service, bucket)
        end_service(service)


@pytest.fixture(params=["in_folder", "in_bucket"])
def stored(request: pytest.FixtureRequest) -> Stored:
    """Each of the two services. A parametrised module fixture would be restarted in random order."""
    service: Stored = request.getfixturevalue(request.param)
    return service


def test_an_encrypted_clip_is_read_by_its_worker_and_erased_at_the_end(stored: Stored) -> None:
    with stored.holding():
        job = stored.service.submit(CLIP)
        seen = [body for key, body in stored.contents().items() if job in key]
        assert len(seen) == 1
        assert not any(MARK in body or b"ftyp" in body for body in seen)
        assert stored.service.redis.hget(f"fv:job:{job}", "seal")
    document = stored.service.finished(job)
    assert {branch["status"] for branch in document["branches"].values()} == {"ok"}
    assert (stored.service.folder / "seen-rppg").read_bytes() == CLIP
    wait_until(lambda: not [key for key in stored.contents() if job in key], "it is erased")
    assert not stored.service.redis.hexists(f"fv:job:{job}", "seal")
    logs = stored.service.whole_logs()
    assert job in logs
    assert MARK.decode() not in logs
    assert "ftypmp42" not in logs


def test_deleting_a_job_erases_its_retained_clip_and_the_key(stored: Stored) -> None:
    job = stored.service.submit(CLIP, retain_clip="true")
    stored.service.finished(job)
    assert [key for key in stored.contents() if job in key]
    assert stored.service.redis.hexists(f"fv:job:{job}", "seal")
    with stored.service.client() as client:
        assert client.delete(f"/v1/jobs/{job}").status_code == 204
    assert not [key for key in stored.contents() if job in key]
    assert not list(stored.service.redis.scan_iter(match=f"*{job}*"))


def test_a_job_deleted_while_it_runs_leaves_no_clip(stored: Stored) -> None:
    with stored.holding(), stored.service.client() as client:
        job = stored.service.submit(CLIP)
        wait_until(lambda: stored.service.document(job)["state"] == "running", "it runs")
        assert client.delete(f"/v1/jobs/{job}").status_code == 204
    assert not [key for key in stored.contents() if job in key]


def test_the_sweep_erases_the_clip_if_the_worker_died_before_erasing(stored: Stored) -> None:
    with stored.holding():
        job = stored.service.submit(CLIP, vitals="heart_rate")
        # As if the worker died after the end of the job was written and before it erased the clip; the key is gone.
        stored.service.jobs.outcomes.time_out(job)
    assert not stored.service.redis.hexists(f"fv:job:{job}", "seal")
    wait_until(lambda: not [key for key in stored.contents() if job in key], "the sweep erases it")


def test_a_clip_without_a_job_is_erased_by_its_age(stored: Stored) -> None:
    store = ClipStore(stored.bucket.url if stored.bucket else (stored.service.folder / "clips").as_uri())
    asyncio.run(write(store, store.key("orphan"), CLIP))
    gateway = gateway_in_process(Settings(redis_url=stored.service.broker.url, data_dir=stored.service.folder), store)
    sweep_store(gateway)
    assert [key for key in stored.contents() if "orphan" in key]
    time.sleep(1.2)
    old = Gateway(**{**vars(gateway), "settings": gateway.settings.model_copy(update={"clip_ttl_s": 0.1})})
    sweep_store(old)
    assert not [key for key in stored.contents() if "orphan" in key]


def test_an_aborted_upload_leaves_no_clip_and_no_part(stored: Stored) -> None:
    before = set(stored.contents())
    with socket.create_connection(("127.0.0.1", stored.service.port)) as wire:
        head = b"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 20000000\r\n\r\n"
        wire.sendall(head + LOOKS_LIKE_MP4 + MARK * 400_000)
        time.sleep(0.5)

    def erased() -> bool:
        # Both are needed: the gateway may not have noticed the disconnect yet, and parts are not listed as objects.
        return set(stored.contents()) <= before and not (stored.bucket and stored.bucket.unfinished())

    wait_until(erased, "the upload is erased")


def test_a_large_clip_is_stored_in_parts(stored: Stored) -> None:
    clip = LOOKS_LIKE_MP4 + os.urandom(12_000_000)
    stored.service.finished(stored.service.submit(clip, vitals="heart_rate"))
    assert (stored.service.folder / "seen-rppg").read_bytes() == clip
    wait_until(lambda: not stored.contents(), "it is erased")


def test_an_unreachable_store_does_not_keep_jobs_from_ending(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in Bucket("http://127.0.0.1:1", "away").env.items():
        monkeypatch.setenv(name, value)
    broker = start_broker(tmp_path / "broker")
    try:
        gateway = gateway_in_process(Settings(redis_url=broker.url, data_dir=tmp_path), ClipStore("s3://away"))
        jobs = ["01A", "01B", "01C"]
        for job in jobs:
            gateway.jobs.submissions.create(
                job, list(Branch), JobOptions(), owner="-", clip_key=ClipStore.key(job), deadline_s=0.01
            )
        time.sleep(0.1)
        sweep_jobs(gateway)
        documents = [gateway.records.document(job) for job in jobs]
        assert [document.state for document in documents if document] == ["failed"] * 3
        time.sleep(2.1)
        assert sorted(gateway.jobs.overdue.unerased()) == [ClipStore.key(job) for job in jobs]
        gateway.records.redis.close()
    finally:
        broker.child.stop(3)


async def write(
    store: ClipStore, key: str, clip: bytes, encryption_key: ClipKey | None = None, *, fail: bool = False
) -> None:
    async with store.writing(key, encryption_key) as out:
        for start in range(0, len(clip), 100_000):
            await out.write([clip[start : start + 100_000]])
        if fail:
            raise RuntimeError


@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 6_000_000])
def test_a_clip_is_read_back_from_s3_unchanged_and_erased(bucket: Bucket, encrypted: bool, size: int) -> None:
    store, clip, encryption_key = ClipStore(bucket.url), os.urandom(size), ClipKey.new() if encrypted else None
    key = store.key("01J")
    asyncio.run(write(store, key, clip, encryption_key))
    assert bucket.all_keys() == [f"prefix/{key}"]
    with store.local_copy(key, encryption_key) as path:
        assert path.read_bytes() == clip
        assert path.stat().st_size == size
    assert store.older_than(-10) == [key]
    store.erase(key)
    store.erase(key)
    assert not bucket.all_keys()
    with pytest.raises(ClipMissingError), store.local_copy(key, encryption_key):
        pass


@pytest.mark.parametrize("size", [100_000, 5_300_000, 11_000_000])
def test_a_failed_write_to_s3_leaves_no_object_version_or_part(bucket: Bucket, size: int) -> None:
    store = ClipStore(bucket.url)
    bucket.keep_versions()
    with pytest.raises(RuntimeError):
        asyncio.run(write(store, store.key("01J"), bytes(size), fail=True))
    assert not bucket.versions()
    assert not bucket.unfinished()


def test_a_bucket_removed_during_a_write_is_an_error(bucket: Bucket) -> None:
    async def cut_short() -> None:
        store = ClipStore(bucket.url)
        async with store.writing(store.key("01J")) as out:
            await out.write([bytes(6_000_000)])
            # Only the bucket is removed, so that no connection times out.
            await asyncio.to_thread(httpx.delete, f"{bucket.endpoint}/{bucket.name}")
            while True:
                await out.write([bytes(6_000_000)])

    with pytest.raises(StoreUnavailableError):
        asyncio.run(asyncio.wait_for(cut_short(), 100))


def test_only_old_multipart_uploads_below_the_clips_prefix_are_aborted(bucket: Bucket) -> None:
    code = (
        "import asyncio, sys; from shared.clips.store import ClipStore\n"
        "async def write():\n"
        "    async with ClipStore(sys.argv[1]).writing('clips/01J') as out:\n"
        "        await out.write([bytes(6_000_000)]); print('begun', flush=True); await asyncio.sleep(60)\n"
        "asyncio.run(write())"
    )
    with subprocess.Popen([sys.executable, "-c", code, bucket.url], stdout=subprocess.PIPE, text=True) as gateway:
        assert gateway.stdout is not None
        assert gateway.stdout.readline() == "begun\n"
        wait_until(bucket.unfinished, "its first part is stored")
        gateway.kill()
    httpx.post(f"{bucket.endpoint}/{bucket.name}/prefix/other-upload?uploads").raise_for_status()
    store = ClipStore(bucket.url)
    assert not bucket.all_keys()
    assert store.abort_incomplete(3600) == []
    assert sorted(bucket.unfinished()) == ["prefix/clips/01J", "prefix/other-upload"]
    assert store.abort_incomplete(-1) == ["prefix/clips/01J"]
    assert bucket.unfinished() == ["prefix/other-upload"]
    assert store.abort_incomplete(-1) == []


def test_the_bucket_accepts_the_documented_lifecycle_rules(bucket: Bucket) -> None:
    documented = (Path(__file__).parents[2] / "docs" / "keys-webhooks-stores.md").read_text()
    rules = json.loads(re.findall(r"--lifecycle-configuration '(.*?)'\n", documented, re.DOTALL)[0])
    client = boto3.client("s3", endpoint_url=bucket.endpoint)
    client.put_bucket_lifecycle_configuration(Bucket=bucket.name, LifecycleConfiguration=rules)
    taken = client.get_bucket_lifecycle_configuration(Bucket=bucket.name)["Rules"]
    client.close()
    by_id = {rule["ID"]: rule for rule in taken}
    assert by_id["unfinished"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert by_id["forgotten"]["Expiration"]["Days"] == 1
    assert {rule["Filter"]["Prefix"] for rule in taken} == {f"{CLIPS}/"}


def test_aborting_uploads_without_credentials_is_an_error(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ClipStore(tmp_path.as_uri()).abort_incomplete(0) == []
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(SweepRefusedError, match="AWS_SECRET_ACCESS_KEY"):
        ClipStore(bucket.url).abort_incomplete(0)


def test_an_unreachable_bucket_is_503_until_it_is_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with s3_server() as address:
        port = int(address.rsplit(":", 1)[1])
        bucket = make_bucket(address, "away", monkeypatch)
        service = new_service(tmp_path / "service", store_url=bucket.url, log_level="debug")
        with service.client() as client:
            assert client.get("/readyz").json()["store"] == "ok"
    try:
        with service.client() as client:
            begun = time.monotonic()
            answer = client.post("/v1/jobs", content=CLIP)
            assert (answer.status_code, answer.json()["type"]) == (503, "urn:facevitals:problem:store-away")
            assert int(answer.headers["retry-after"]) > 0
            assert time.monotonic() - begun < 35
            assert client.get("/readyz").status_code == 503
            assert client.get("/livez").status_code == 200
            with s3_server(port) as address:
                httpx.put(f"{address}/away").raise_for_status()
                assert client.post("/v1/jobs", content=CLIP).status_code == 202
        logs = service.whole_logs()
        assert not [secret for secret in list(bucket.env.values())[2:4] if secret in logs]
    finally:
        end_service(service)


def test_a_worker_killed_while_it_reads_a_clip_leaves_no_copy(bucket: Bucket, tmp_path: Path) -> None:
    store, encryption_key = ClipStore(bucket.url), ClipKey.new()
    asyncio.run(write(store, store.key("01J"), CLIP, encryption_key))
    code = (
        "import sys, time; from shared.clips.encryption import ClipKey; from shared.clips.store import ClipStore\n"
        "with ClipStore(sys.argv[1]).local_copy('clips/01J', ClipKey.parse(sys.argv[2])) as path:\n"
        "    print(len(path.read_bytes()), flush=True); time.sleep(60)"
    )
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", code, bucket.url, encryption_key.text]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        assert int(worker.stdout.readline()) == len(CLIP)
        assert not list(tmp_path.iterdir())
        worker.kill()
    assert not list(tmp_path.iterdir())


Change = Callable[[bytes], bytes]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda encrypted: encrypted[:-1], id="cut off"),
        pytest.param(lambda encrypted: encrypted[: 65_536 + 16], id="cut off after a whole piece"),
        pytest.param(
            lambda encrypted: encrypted[65_552:131_104] + encrypted[:65_552] + encrypted[131_104:], id="pieces swapped"
        ),
        pytest.param(
            lambda encrypted: encrypted[:100] + bytes([encrypted[100] ^ 1]) + encrypted[101:], id="a bit changed"
        ),
        pytest.param(lambda encrypted: encrypted + b"\x00", id="something added"),
        pytest.param(lambda _: b"", id="emptied"),
    ],
)
def test_a_modified_encrypted_clip_can_not_be_read(tmp_path: Path, change: Change) -> None:
    store, encryption_key = ClipStore(tmp_path.as_uri()), ClipKey.new()
    key = store.key("01J")
    asyncio.run(write(store, key, CLIP, encryption_key))
    path = tmp_path / key
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ClipMissingError, match="can't be decrypted"), store.local_copy(key, encryption_key):
        pass


def test_another_key_or_another_store_key_does_not_decrypt_it(tmp_path: Path) -> None:
    store, encryption_key = ClipStore(tmp_path.as_uri()), ClipKey.new()
    asyncio.run(write(store, store.key("01J"), CLIP, encryption_key))
    (tmp_path / store.key("01K")).write_bytes((tmp_path / store.key("01J")).read_bytes())
    for key, other in (("01J", ClipKey.new()), ("01K", encryption_key)):
        with pytest.raises(ClipMissingError, match="can't be decrypted"), store.local_copy(store.key(key), other):
            pass
    assert encryption_key.text not in repr(encryption_key)
    encryptor = ClipEncryptor(encryption_key, "x")
    assert encryptor.encrypt([b"x" * 10]) == []


def test_a_store_that_does_not_exist_is_an_error(bucket: Bucket) -> None:
    with pytest.raises(StoreUnavailableError):
        ClipStore("s3://no-such-bucket/x").check()
