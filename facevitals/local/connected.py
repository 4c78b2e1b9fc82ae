"""The broker that a command line's settings name, or the embedded one, with clear errors where it does not answer."""

from collections.abc import Iterator
from contextlib import contextmanager

import redis
import typer
from redis.exceptions import RedisError
from rich.console import Console

from facevitals.local.broker import BrokerNotStartedError, embedded_url
from shared.jobs.connection import connect
from shared.settings import settings

_errors = Console(stderr=True, markup=False)


@contextmanager
def connected() -> Iterator[redis.Redis]:
    """Connect to the broker; a command ends with a sentence and exit status 1 where that fails."""
    config = settings()
    try:
        client = connect(config.redis_url or embedded_url(config.data_dir.absolute() / "broker"))
        yield client
        client.close()
    except BrokerNotStartedError as error:
        _errors.print(str(error), style="red", highlight=False)
        raise typer.Exit(1) from error
    except RedisError as error:
        _errors.print("The broker does not answer. Check FACEVITALS_REDIS_URL.", style="red")
        raise typer.Exit(1) from error
