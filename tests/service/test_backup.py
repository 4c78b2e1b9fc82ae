"""docs/backup.md: its commands, run on the embedded broker: what they keep comes back, and clips do not."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from facevitals.local.broker import Broker, start_broker
from shared.access.api_keys import KeyRing
from shared.jobs.connection import connect
from shared.jobs.job_store import JobStore
from shared.schemas import BranchOutcome, BranchStatus, JobOptions, JobState
from shared.vitals import Branch

PAGE: Final = Path(__file__).parents[2] / "docs" / "backup.md"
DONE: Final = BranchOutcome(status=BranchStatus.OK, elapsed_ms=1)


def script(heading: str) -> str:
    """The commands below a heading of the page."""
    section = PAGE.read_text("utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    (commands,) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return str(commands)


def run(commands: str, **variables: str) -> None:
    """Run commands of the page; programs that it names come from `variables` or PATH."""
    done = subprocess.run(
        ["/bin/bash", "-euo", "pipefail", "-c", commands],
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def saved(broker: Broker, tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A backup of a broker with a key, an ended, an erased and a waiting job; gives its file, and the key's facts."""
    client = connect(broker.url)
    jobs, made = JobStore(client, 600), KeyRing(client).create("clinic")
    for job in ("ended", "waits", "erased"):
        jobs.submissions.create(
            job, list(Branch), JobOptions(), owner=made.stored.owner, clip_key=f"clips/{job}", deadline_s=600
        )
    for branch in Branch:
        jobs.leases.of("ended", branch, "token").begin(60)
        jobs.outcomes.write("ended", branch, DONE)
    jobs.completion.finish("ended")
    jobs.records.delete("erased")
    backup = tmp_path / "backup.tar"
    data = str(tmp_path / "broker")
    run(script("Back up"), DATA=data, BACKUP=str(backup), B=command_line(broker, tmp_path))
    # Written after the backup: it must not come back.
    KeyRing(client).create("later")
    client.close()
    held = backup.read_bytes()
    assert b"fv:job:ended" in held
    assert b"fv:job:erased" not in held
    return backup, {"key": made.key, "id": made.stored.id, "owner": made.stored.owner, "secret": made.webhook_secret}


def command_line(broker: Broker, folder: Path) -> str:
    """A command in the place of valkey-cli, which is not in the wheel of the embedded broker."""
    program = folder / "cli"
    program.write_text(
        "#!/usr/bin/env python3\nimport sys, redis\n"
        "reply = redis.Redis.from_url(sys.argv[1], decode_responses=True).execute_command(*sys.argv[2:])\n"
        "if isinstance(reply, dict): print(*(f'{k}:{int(v) if isinstance(v, bool) else v}' for k, v in reply.items()),"
        " sep='\\n')\nelse: print(reply)\n"
    )
    return f"{sys.executable} {program} {broker.url}"


def test_keys_jobs_and_results_come_back_in_a_new_broker(saved: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    backup, was = saved
    data = tmp_path / "restored"
    run(script("Restore"), DATA=str(data), BACKUP=str(backup))
    restored = start_broker(data)
    try:
        client = connect(restored.url)
        ring, jobs = KeyRing(client), JobStore(client, 600)
        stored = ring.find(was["key"])
        assert stored is not None
        assert (stored.id, [key.name for key in ring.all()]) == (was["id"], ["clinic"])
        assert ring.webhook_secrets(stored.owner) == [was["secret"]]
        ended, waits = (jobs.records.document(job, owner=was["owner"]) for job in ("ended", "waits"))
        assert ended is not None
        assert waits is not None
        assert (ended.state, waits.state) == (JobState.SUCCEEDED, JobState.QUEUED)
        # Of every job: this test begins branches without taking their messages.
        assert client.llen("fvq:rppg") == 3
        assert all(client.ttl(key) > 0 for key in client.scan_iter(match="fv:*"))
        client.close()
    finally:
        restored.child.stop(3)


def test_a_backup_can_only_be_read_by_its_owner(saved: tuple[Path, dict[str, str]]) -> None:
    assert saved[0].stat().st_mode & 0o077 == 0
