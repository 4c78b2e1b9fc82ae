"""`facevitals queues`: pause the queues before maintenance, and see whether they are empty."""

import json
import re
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from facevitals.local.connected import connected
from facevitals.local.terminal import output
from shared.jobs.keys import WORKING, parse_claim
from shared.jobs.pauses import MAX_PAUSE_S, pause, paused, resume
from shared.jobs.queues import QUEUES
from shared.jobs.waiting import queue_loads
from shared.jobs.worker_registry import worker_cards
from shared.vitals import Branch

app = typer.Typer(no_args_is_help=True, help="Queues: pause and resume uploads for one, list what waits.")
console, errors = output(), Console(stderr=True, markup=False)

_NAMES: Final = ", ".join(QUEUES.values())
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}

Names = Annotated[list[str], typer.Argument(help=f"Queues, of {_NAMES}.", show_default=False)]


@app.command("pause")
def pause_queues(
    queues: Names,
    duration: Annotated[
        str, typer.Option("--for", help="When the pause ends by itself: 90s, 30m, 4h, 2d; at most 7d.")
    ] = "4h",
) -> None:
    """Accept no new work for these queues: uploads get 503. Workers finish what waits."""
    branches, for_s = _branches(queues), _seconds(duration)
    with connected() as client:
        for branch in branches:
            pause(client, branch, for_s)
    errors.print(f"Paused for {duration}: {', '.join(queues)}. `facevitals queues list` shows what waits.")


@app.command("resume")
def resume_queues(queues: Names) -> None:
    """Accept work for these queues again."""
    with connected() as client:
        for branch in _branches(queues):
            if not resume(client, branch):
                errors.print(f"{QUEUES[branch]} was not paused.", highlight=False)


@app.command("list")
def list_queues(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the queues: pause, waiting jobs, jobs in work, worker processes. A paused one that is empty is drained."""
    with connected() as client:
        rows = _rows(client)
    if as_json:
        print(json.dumps(rows))
        return
    table = Table("queue", "pause ends in", "waiting", "in work", "workers")
    for row in rows:
        ends = "" if row["pause_ends_s"] is None else f"{row['pause_ends_s']} s"
        table.add_row(row["queue"], ends, *(str(row[name]) for name in ("waiting", "in_work", "workers")))
    console.print(table)


def _rows(client: Any) -> list[dict[str, Any]]:  # noqa: ANN401  (redis-py's types do not know `decode_responses`)
    pauses, loads, cards = paused(client), queue_loads(client), worker_cards(client)
    claims = [claim for member in client.zrange(WORKING, 0, -1) if (claim := parse_claim(member))]
    return [
        {
            "queue": queue,
            "pause_ends_s": pauses.get(branch),
            "waiting": loads[branch].waiting,
            "in_work": sum(of is branch for _, of in claims),
            "workers": sum(queue in card.queues for card in cards),
        }
        for branch, queue in QUEUES.items()
    ]


def _branches(names: list[str]) -> list[Branch]:
    branches = [branch for branch, queue in QUEUES.items() if queue in names]
    if len(branches) < len(set(names)):
        errors.print(f"The queues are {_NAMES}.", style="red")
        raise typer.Exit(2)
    return branches


def _seconds(duration: str) -> int:
    match = re.fullmatch(r"([0-9]{1,7})([smhd])", duration)
    seconds = int(match[1]) * _SECONDS[match[2]] if match else 0
    if not 1 <= seconds <= MAX_PAUSE_S:
        errors.print("--for takes a number with s, m, h or d, such as 30m; at most 7d.", style="red")
        raise typer.Exit(2)
    return seconds
