"""`facevitals jobs`: the jobs that the broker holds, for operators."""

import dataclasses
import json
from typing import Annotated, Final

import redis
import typer
from rich.console import Console
from rich.table import Table

from facevitals.cli.operator_audit import audited
from facevitals.local.connected import connected
from facevitals.local.terminal import output
from shared.access.api_keys import ANONYMOUS, OWNER_PREFIX
from shared.ids import is_id
from shared.jobs.listing import ListedJob, error_of, list_jobs
from shared.jobs.records import JobRecords
from shared.observability.audit import Action, Outcome
from shared.schemas import JobState
from shared.settings import settings

app = typer.Typer(no_args_is_help=True, help="Jobs: list them, show one, cancel and erase one.")
console, errors = output(), Console(stderr=True, markup=False)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
JobId = Annotated[str, typer.Argument(help="The job's id, as `facevitals jobs list` shows it.")]
#: Rows of a list without `--limit`.
_ROWS: Final = 50


@app.command("list")
def show_all(
    state: Annotated[list[JobState] | None, typer.Option(help="Only jobs in this state; can be repeated.")] = None,
    key: Annotated[
        str | None, typer.Option(help="Only jobs of the API key with this id (`facevitals keys list`).")
    ] = None,
    limit: Annotated[int, typer.Option(help="Newest jobs that are listed; 0: all.", min=0)] = _ROWS,
    as_json: AsJson = False,
) -> None:
    """List jobs, the newest first, until their results are erased. Ids are secrets, which give the result."""
    with connected() as client, audited(Action.LIST_JOBS):
        owner = None if key is None else OWNER_PREFIX + key
        jobs = list_jobs(client, owner=owner, states=state or tuple(JobState))
        listed = [(job, error_of(client, job)) for job in jobs[: limit or None]]
    if as_json:
        print(json.dumps([_public(job) | {"error": error} for job, error in listed]))
        return
    table = Table("id", "state", "received", "key", "error")
    for job, error in listed:
        table.add_row(job.id, job.state, f"{job.created_at:%Y-%m-%d %H:%M:%S}", _key_of(job), error or "")
    console.print(table)
    if len(listed) < len(jobs):
        errors.print(f"{len(jobs) - len(listed)} older jobs are not shown: --limit 0 lists all.", highlight=False)


@app.command()
def show(job_id: JobId) -> None:
    """Print the job document as it is now, as JSON."""
    with connected() as client, audited(Action.READ_DOCUMENT, job=_checked(job_id)) as line:
        document = _records(client).document(job_id)
        line.outcome = Outcome.UNKNOWN if document is None else Outcome.OK
    if document is None:
        raise _unknown(job_id)
    print(document.model_dump_json(indent=1))


@app.command()
def cancel(job_id: JobId) -> None:
    """Cancel a job, and erase its clip, result, events and waveforms, as DELETE does over HTTP."""
    with connected() as client, audited(Action.DELETE_JOB, job=_checked(job_id)) as line:
        existed = _records(client).delete(job_id)
        line.outcome = Outcome.OK if existed else Outcome.UNKNOWN
    if not existed:
        raise _unknown(job_id)


def _records(client: redis.Redis) -> JobRecords:
    return JobRecords(client, settings().result_ttl_s)


def _checked(job_id: str) -> str:
    if not is_id(job_id):
        raise _unknown(job_id)
    return job_id


def _unknown(job_id: str) -> typer.Exit:
    errors.print(f"There is no job {job_id}: see `facevitals jobs list`.", style="red", highlight=False)
    return typer.Exit(1)


def _public(job: ListedJob) -> dict[str, str | None]:
    return dataclasses.asdict(job) | {"created_at": job.created_at.isoformat(), "owner": _key_of(job)}


def _key_of(job: ListedJob) -> str:
    """The id of the key that made the job; no secret."""
    if job.owner.startswith(OWNER_PREFIX):
        return job.owner.removeprefix(OWNER_PREFIX)
    return "" if job.owner in {"", ANONYMOUS} else "of the settings"
