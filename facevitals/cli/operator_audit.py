"""Lines of the audit log for what operators do on the command line, if FACEVITALS_AUDIT_LOG names a file."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from shared.access.api_keys import UnknownKeyError
from shared.observability.audit import Action, AuditLogError, Outcome, configure_audit, record
from shared.settings import settings

_errors = Console(stderr=True, markup=False)


class AuditLine:
    """The line of one command; the command sets what it knows."""

    def __init__(self, key: str | None, job: str | None) -> None:
        self.key, self.job, self.outcome = key, job, Outcome.OK


@contextmanager
def audited(action: Action, *, key: str | None = None, job: str | None = None) -> Iterator[AuditLine]:
    """Write a line when the command has acted, or failed to; `key` and `job` are ids that it acts on.

    A command whose line can't be written does not begin: it ends with a sentence and exit status 1.
    """
    try:
        has_file = configure_audit(settings())
    except AuditLogError as error:
        _errors.print(str(error), style="red", highlight=False)
        raise typer.Exit(1) from error
    line = AuditLine(key, job)
    try:
        yield line
    except UnknownKeyError:
        line.outcome = Outcome.UNKNOWN
        raise
    except BaseException:
        line.outcome = Outcome.FAILED
        raise
    finally:
        # Without a file there is no log: a terminal keeps nothing.
        if has_file:
            record(action, line.outcome, key=line.key, job=line.job, by=_user())


def _user() -> str:
    """The user of this machine who runs the command; containers may lack a name for theirs."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
