"""`facevitals keys`: API keys in the broker, in force at once and without a restart."""

import dataclasses
import datetime as dt
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from facevitals.cli.operator_audit import audited
from facevitals.local.connected import connected
from facevitals.local.terminal import output
from shared.access.api_keys import DAY_S, MAX_DAYS, KeyRing, NewKey, Scope, StoredKey, UnknownKeyError, public_id
from shared.jobs.usage import USAGE_TTL_S, DayOfUsage, read_usage
from shared.observability.audit import Action

app = typer.Typer(
    no_args_is_help=True, help="API keys: make, list, rotate, revoke, count their use. They are stored in the broker."
)
console, errors = output(), Console(stderr=True, markup=False)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Days = Annotated[int, typer.Option(help="Days until the key expires.", min=1, max=MAX_DAYS)]
KeyId = Annotated[str, typer.Argument(help="The key's id, as `facevitals keys list` shows it.")]


@contextmanager
def _ring() -> Iterator[KeyRing]:
    try:
        with connected() as client:
            yield KeyRing(client)
    except UnknownKeyError as error:
        errors.print(f"No key in force has the id {error}: see `facevitals keys list`.", style="red", highlight=False)
        raise typer.Exit(1) from error


def _public(key: StoredKey) -> dict[str, object]:
    facts = dataclasses.asdict(key) | {"scopes": sorted(key.scopes)}
    times = {name: value.isoformat() for name in facts if (value := getattr(key, name)) and name.endswith("_at")}
    return facts | times


def _show(made: NewKey, as_json: bool) -> None:
    if as_json:
        print(json.dumps(_public(made.stored) | {"key": made.key, "webhook_secret": made.webhook_secret}))
        return
    print(made.key)
    print(made.webhook_secret)
    errors.print(
        f"Above: key {made.stored.id} ({made.stored.name}) and the secret that its webhooks are signed with. "
        "Keep both now: they can't be shown again.",
        highlight=False,
    )


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="A name for people: its holder and purpose.")],
    scopes: Annotated[str, typer.Option(help=f"Comma-separated, of {', '.join(Scope)}.")] = ",".join(Scope),
    rate: Annotated[int | None, typer.Option(help="Clips a minute; 0: no limit; else the settings'.", min=0)] = None,
    active: Annotated[int | None, typer.Option(help="Jobs at once; 0: no limit; else the settings'.", min=0)] = None,
    days: Days = 365,
    as_json: AsJson = False,
) -> None:
    """Make a key. It is printed once; the broker holds only its hash."""
    names = {scope.strip() for scope in scopes.split(",") if scope.strip()}
    if not names or not names <= set(Scope):
        errors.print(f"--scopes takes a list of {', '.join(Scope)}.", style="red")
        raise typer.Exit(2)
    with _ring() as ring, audited(Action.CREATE_KEY) as line:
        made = ring.create(name, scopes=frozenset(map(Scope, names)), rate_per_min=rate, max_active=active, days=days)
        line.key = made.stored.id
    _show(made, as_json)


@app.command("list")
def show(as_json: AsJson = False) -> None:
    """List every key that has not expired, revoked ones included. Secrets are not shown."""
    with _ring() as ring:
        keys = ring.all()
    if as_json:
        print(json.dumps([_public(key) for key in keys]))
        return
    table = Table("id", "name", "scopes", "a minute", "at once", "last used", "ends")
    for key in keys:
        limits = ("" if limit is None else str(limit) for limit in (key.rate_per_min, key.max_active))
        used = f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else ""
        ends = f"revoked {key.revoked_at:%Y-%m-%d}" if key.revoked_at else f"{key.expires_at:%Y-%m-%d}"
        table.add_row(key.id, key.name, " ".join(sorted(key.scopes)), *limits, used, ends)
    console.print(table)


@app.command()
def rotate(
    key_id: KeyId,
    grace: Annotated[
        int | None, typer.Option(help="Seconds for which the old secret works too: 0, or a day with --webhook.", min=0)
    ] = None,
    days: Days = 365,
    webhook: Annotated[bool, typer.Option("--webhook", help="Rotate the webhook secret in place of the key.")] = False,
    as_json: AsJson = False,
) -> None:
    """Give a key a new secret. The key keeps its jobs."""
    action = Action.ROTATE_WEBHOOK_SECRET if webhook else Action.ROTATE_KEY
    with _ring() as ring, audited(action, key=key_id):
        if webhook:
            secret = ring.rotate_webhook_secret(key_id, grace_s=DAY_S if grace is None else grace)
            print(json.dumps({"id": key_id, "webhook_secret": secret}) if as_json else secret)
            return
        made = ring.rotate(key_id, grace_s=grace or 0, days=days)
    _show(made, as_json)


@app.command()
def revoke(key_id: KeyId) -> None:
    """Revoke a key, with immediate effect."""
    with _ring() as ring, audited(Action.REVOKE_KEY, key=key_id):
        ring.revoke(key_id)
    errors.print(f"Key {key_id} is revoked.", highlight=False)


@app.command()
def usage(
    key: Annotated[str | None, typer.Option(help="Only the key with this id.")] = None,
    days: Annotated[int, typer.Option(help="Days, today included.", min=1, max=USAGE_TTL_S // DAY_S)] = 7,
    as_json: AsJson = False,
) -> None:
    """Show each key's jobs and seconds of video by day (UTC), the newest first. Counts are kept for 35 days."""
    with _ring() as ring:
        names = {stored.id: stored.name for stored in ring.all()}
        used = read_usage(ring.client)
    first = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=days - 1)
    rows = [day for day in used if day.day >= first and key in {None, public_id(day.owner)}]
    if as_json:
        print(json.dumps([_usage(row) for row in rows]))
        return
    table = Table("day", "key", "name", "submitted", "succeeded", "failed", "seconds of video")
    for row in rows:
        name = public_id(row.owner)
        counts = (str(count) for count in (row.submitted, row.succeeded, row.failed))
        table.add_row(str(row.day), name or "without", names.get(name or "", ""), *counts, f"{row.clip_s:.0f}")
    console.print(table)


def _usage(row: DayOfUsage) -> dict[str, object]:
    facts = dataclasses.asdict(row) | {"day": row.day.isoformat(), "key": public_id(row.owner)}
    del facts["owner"]
    return facts
