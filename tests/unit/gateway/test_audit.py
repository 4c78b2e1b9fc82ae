"""Every route has a decision on the audit log, and its file survives rotation and a full disk."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from api import page
from api.app import create_app
from api.audit import ACTIONS
from shared.observability.audit import LOGGER, Action, AuditLogError, Outcome, configure_audit, record
from shared.observability.logging import configure_logging
from shared.settings import Settings

JOB = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    configured = structlog.get_config() if structlog.is_configured() else None
    loggers = [logging.getLogger(name) for name in (LOGGER, "")]
    before = [(logger, logger.handlers, logger.propagate, logger.level) for logger in loggers]
    yield
    for logger, handlers, propagate, level in before:
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)
    # A level that these tests set would hide what other tests look for.
    structlog.reset_defaults()
    if configured is not None:
        structlog.configure(**configured)


def undecided(app: FastAPI) -> set[str]:
    """Routes without an entry in `ACTIONS`, except files that are served as they are."""
    found = set()
    for route in iter_route_contexts(app.routes):
        mounted = getattr(route, "original_route", route)
        if isinstance(mounted, Mount) and isinstance(mounted.app, StaticFiles):
            continue
        if getattr(route.endpoint, "__code__", None) is page.sender(Path()).__code__:
            continue
        found |= {f"{method} {route.path}" for method in (route.methods or {"any"}) - {"HEAD"}} - ACTIONS.keys()
    return found


def test_every_route_has_a_decision_on_the_audit_log(tmp_path: Path) -> None:
    for file in ("index.html", "favicon.svg", "assets/page.js"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    app = create_app(Settings(redis_url="redis://127.0.0.1:1/0"))
    page.install(app, tmp_path)
    assert not undecided(app), "decide in api/audit.py what of these routes enters the audit log"

    @app.get("/v1/jobs/{job_id}/portrait")
    async def portrait(job_id: str) -> str:
        return job_id

    assert undecided(app) == {"GET /v1/jobs/{job_id}/portrait"}


def test_no_decision_is_about_a_route_that_is_gone() -> None:
    app = create_app(Settings(redis_url="redis://127.0.0.1:1/0"))
    routes = {f"{method} {route.path}" for route in iter_route_contexts(app.routes) for method in route.methods or ()}
    assert routes >= ACTIONS.keys()


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_file_that_is_moved_away_is_opened_anew(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    assert configure_audit(Settings(audit_log=path))
    record(Action.REVOKE_KEY, Outcome.OK, key="abc")
    path.rename(tmp_path / "audit.jsonl.1")
    record(Action.READ_FHIR, Outcome.UNKNOWN, job=JOB, status=404)
    (before,), (after,) = lines(tmp_path / "audit.jsonl.1"), lines(path)
    assert (before["action"], before["outcome"], before["key"]) == ("revoke_key", "ok", "abc")
    assert (after["action"], after["outcome"], after["job"], after["key"]) == ("read_fhir", "unknown", JOB, None)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_line_that_the_file_does_not_take_is_in_the_usual_log(capfd: pytest.CaptureFixture[str]) -> None:
    config = Settings(audit_log=Path("/dev/full"), log_format="json", log_level="error")
    configure_logging(config)
    configure_audit(config)
    for _ in range(2):
        record(Action.DELETE_JOB, Outcome.OK, key="abc", job=JOB)
    written = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [line["event"] for line in written] == ["audit log can't be written", "audit"] * 2
    assert written[1]["job"] == JOB


def test_without_a_file_lines_are_in_the_usual_log_at_any_level(capfd: pytest.CaptureFixture[str]) -> None:
    config = Settings(log_format="json", log_level="error")
    configure_logging(config)
    assert not configure_audit(config)
    record(Action.CREATE_KEY, Outcome.OK, key="abc", by="root")
    (line,) = (json.loads(line) for line in capfd.readouterr().err.splitlines())
    assert (line["event"], line["action"], line["by"]) == ("audit", "create_key", "root")


def test_a_file_that_cannot_be_opened_is_stated_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(AuditLogError, match="FACEVITALS_AUDIT_LOG"):
        create_app(Settings(redis_url="redis://127.0.0.1:1/0", audit_log=tmp_path / "no folder" / "audit.jsonl"))
