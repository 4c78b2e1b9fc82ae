"""What running worker processes say of themselves: a card each, which lives only while it is renewed."""

import contextlib
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from shared.jobs.lua import PUT_CARD
from shared.jobs.records import PREFIX

WORKERS: Final = f"{PREFIX}worker:"
#: Ids of the cards there are, by the end of their lives.
CARDS: Final = f"{PREFIX}workers"
#: A card that is not renewed for this long is gone.
CARD_TTL_S: Final = 15
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
    """Memory of a process's GPU, all of it that is taken, by whomever."""

    used_bytes: int
    total_bytes: int


class WorkerCard(BaseModel):
    """One worker process. `refused` are models that are installed and were not loaded, and why: no memory for them, or
    no use for their file.
    """

    id: str
    queues: list[str]
    device: str
    models: list[LoadedModel]
    gpu: GpuMemory | None = None
    refused: dict[str, str] = {}


def put_card(redis: Any, card: WorkerCard) -> None:  # noqa: ANN401  (redis-py's types do not know `decode_responses`)
    """Write or renew a card, also where the broker is full: its worker goes on working."""
    redis.eval(PUT_CARD, 2, WORKERS + card.id, CARDS, card.id, card.model_dump_json(), CARD_TTL_S)


def remove_card(redis: Any, card_id: str) -> None:  # noqa: ANN401
    """The process ends."""
    redis.delete(WORKERS + card_id)


def worker_cards(redis: Any) -> list[WorkerCard]:  # noqa: ANN401
    """Every running worker process."""
    keys = [WORKERS + card_id for card_id in sorted(redis.zrange(CARDS, 0, -1))]
    # Who has ended or died is still listed for a moment, and has no card.
    values = redis.mget(keys) if keys else []
    return [card for value in values if value and (card := _card(value))]


def _card(text: str) -> WorkerCard | None:
    # A worker of another release may write another card; it costs nobody the others.
    with contextlib.suppress(ValidationError):
        return WorkerCard.model_validate_json(text)
    return None
