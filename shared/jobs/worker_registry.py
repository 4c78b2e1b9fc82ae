"""Running worker processes: each writes a card, which expires unless it is renewed."""

import contextlib
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from pydantic import BaseModel, ValidationError

from shared.jobs.keys import PREFIX, Key
from shared.jobs.lua import Script
from shared.jobs.scripts.common import NOW

#: Prefix of the keys of the cards.
WORKERS: Final = f"{PREFIX}worker:"
#: Ids of the cards by the time when they expire. It spares readers a search through all keys.
CARDS: Final = Key(f"{PREFIX}workers")
#: A card that is not renewed for this long expires, seconds.
CARD_TTL_S: Final = 15
#: A worker process renews its card this often, seconds.
RENEW_EVERY_S: Final = 4


class LoadedModel(BaseModel):
    """One model in one process; `memory_bytes` is what its weights take of its device's memory."""

    name: str
    version: str
    licence: str
    serves: list[str]
    load_ms: int
    device: str = "cpu"
    memory_bytes: int = 0


class GpuMemory(BaseModel):
    """Memory of a process's GPU; `used_bytes` counts all processes."""

    used_bytes: int
    total_bytes: int


class WorkerCard(BaseModel):
    """One worker process.

    `refused` holds the models that are installed and were not loaded, with the reason: too little memory, or an
    unusable file.
    """

    id: str
    queues: list[str]
    device: str
    models: list[LoadedModel]
    gpu: GpuMemory | None = None
    refused: dict[str, str] = {}


@dataclass(frozen=True, kw_only=True)
class PutCard(Script[int]):
    """Write or renew a card and list it; cards that have expired leave the list."""

    allow_oom: ClassVar[bool] = True
    source: ClassVar[str] = (
        NOW
        + """
redis.call('SET', card, text, 'EX', ttl_s)
redis.call('ZREMRANGEBYSCORE', cards, '-inf', now)
redis.call('ZADD', cards, now + ttl_s, card_id)
return redis.call('EXPIRE', cards, ttl_s)
"""
    )

    card: Key
    cards: Key
    card_id: str
    text: str
    ttl_s: int


def put_card(client: Any, card: WorkerCard) -> None:  # noqa: ANN401  (redis-py's types do not know `decode_responses`)
    """Write or renew a card, also where the broker is full: its worker goes on working."""
    key, text = Key(WORKERS + card.id), card.model_dump_json()
    PutCard(card=key, cards=CARDS, card_id=card.id, text=text, ttl_s=CARD_TTL_S).run(client)


def remove_card(client: Any, card_id: str) -> None:  # noqa: ANN401
    """Remove the card of a process that ends."""
    client.delete(WORKERS + card_id)


def worker_cards(client: Any) -> list[WorkerCard]:  # noqa: ANN401
    """Return the cards of all running worker processes."""
    keys = [WORKERS + card_id for card_id in sorted(client.zrange(CARDS, 0, -1))]
    # A process that has ended or died is still listed for a moment, and has no card.
    values = client.mget(keys) if keys else []
    return [card for value in values if value and (card := _card(value))]


def _card(text: str) -> WorkerCard | None:
    # A worker of another release may write another card: it must not hide the others.
    with contextlib.suppress(ValidationError):
        return WorkerCard.model_validate_json(text)
    return None
