"""The audit log: who read or erased a person's result, and who made or revoked an API key.

A line has a time, the action, the id of the API key (never the key), the job's id and the outcome; nothing of a clip
or a result. Lines have a logger of their own, `facevitals.audit`. `FACEVITALS_AUDIT_LOG` names a file for them, one
JSON object a line; without it they are among the other lines of the gateway, whatever `FACEVITALS_LOG_LEVEL` is.
"""

import logging
import os
from enum import StrEnum
from pathlib import Path
from typing import Final

import structlog

from shared.observability.redaction import Redactor
from shared.settings import Settings

#: The logger of these lines.
LOGGER: Final = "facevitals.audit"


class Action(StrEnum):
    """What was done."""

    SUBMIT_JOB = "submit_job"
    READ_DOCUMENT = "read_document"
    READ_EVENTS = "read_events"
    READ_WAVEFORMS = "read_waveforms"
    READ_FHIR = "read_fhir"
    DELETE_JOB = "delete_job"
    SEND_WEBHOOK = "send_webhook"
    LIST_JOBS = "list_jobs"
    CREATE_KEY = "create_key"
    ROTATE_KEY = "rotate_key"
    ROTATE_WEBHOOK_SECRET = "rotate_webhook_secret"  # noqa: S105  (a name)
    REVOKE_KEY = "revoke_key"


class Outcome(StrEnum):
    """How it ended. `refused`: by the caller's key or origin; `unknown`: there is no such job or key."""

    OK = "ok"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    REJECTED = "rejected"
    FAILED = "failed"


class AuditLogError(ValueError):
    """The file that FACEVITALS_AUDIT_LOG names can't be written."""


class _AuditFile(logging.Handler):
    """Appends to a file that only this user can read. It is opened for each line, so that it can be moved away."""

    def __init__(self, path: Path) -> None:
        """Create the file if there is none.

        Raises:
            OSError: it can't be written.
        """
        super().__init__()
        self._path = path
        self._append(b"")

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line; where the file can't be written, among the other log lines, with an error."""
        try:
            self._append(f"{self.format(record)}\n".encode())
        except OSError as error:
            structlog.get_logger().error("audit log can't be written", error=type(error).__name__)
            for handler in logging.getLogger().handlers:
                handler.handle(record)

    def _append(self, line: bytes) -> None:
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # In one call: several gateways and commands may append to one file.
            if line and os.write(file, line) < len(line):
                raise OSError("the disk is full")
        finally:
            os.close(file)


def configure_audit(settings: Settings) -> bool:
    """Send audit lines to the file of the settings, or to the usual log; returns whether there is a file.

    Raises:
        AuditLogError: the file can't be opened.
    """
    logger = logging.getLogger(LOGGER)
    logger.handlers, logger.propagate = [], settings.audit_log is None
    # Of its own: lines of this kind must not depend on the level of the others.
    logger.setLevel(logging.INFO)
    if settings.audit_log is not None:
        logger.addHandler(_handler(settings.audit_log, Redactor(settings)))
    return settings.audit_log is not None


def _handler(path: Path, redact: Redactor) -> logging.Handler:
    try:
        handler = _AuditFile(path.absolute())
    except OSError as error:
        raise AuditLogError(f"FACEVITALS_AUDIT_LOG: {path} can't be written: {error.strerror}.") from error
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
                lambda _logger, _method, line: redact(str(line)),
            ]
        )
    )
    return handler


def record(
    action: Action,
    outcome: Outcome,
    *,
    key: str | None = None,
    job: str | None = None,
    **facts: str | int,
) -> None:
    """Write one line. `key`: the id of the API key that acted, or was made or revoked; None without keys.

    `facts`: the HTTP status, or the user of the machine who ran the command.
    """
    _log().info("audit", action=action.value, outcome=outcome.value, key=key, job=job, **facts)


def _log() -> structlog.typing.FilteringBoundLogger:
    log: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
        logging.getLogger(LOGGER),
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    return log
