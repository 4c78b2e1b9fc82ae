"""API keys in the broker: made, rotated and revoked there, so that every gateway knows at once and none restarts.

A key reads `fv_ID_SECRET`. The broker holds its SHA-256, never the key: the secret has 256 random bits, so that a slow
hash would protect nothing and cost every request. Layout, under `fv:`:

    key:{id}   hash   name, scopes, limits, times, hash of the key and, after a rotation, of the one before
    keys       zset   ids by the end of their life; a revoked key stays listed until then
"""

import base64
import datetime as dt
import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import redis

from shared.ids import KEY_PATTERN, new_key_id
from shared.jobs.keys import PREFIX

KEYS: Final = f"{PREFIX}keys"
#: Prefix of the owner that a stored key's jobs have; it stays the same when the key is rotated.
OWNER_PREFIX: Final = "key:"
DAY_S: Final = 86_400
LONGEST_DAYS: Final = 3_650


class Scope(StrEnum):
    """What a key may do."""

    SUBMIT = "submit"
    READ = "read"
    DELETE = "delete"


ALL_SCOPES: Final = frozenset(Scope)


class UnknownKeyError(Exception):
    """No such key: it never was, its life ended, or it was revoked. `facevitals keys list` shows those that are."""


@dataclass(frozen=True)
class StoredKey:
    """A key without its secret. Limits: None takes the settings'."""

    id: str
    name: str
    scopes: frozenset[Scope]
    created_at: dt.datetime
    expires_at: dt.datetime
    rate_per_min: int | None = None
    max_active: int | None = None
    last_used_at: dt.datetime | None = None
    revoked_at: dt.datetime | None = None

    @property
    def owner(self) -> str:
        """Whose jobs are this key's."""
        return OWNER_PREFIX + self.id


@dataclass(frozen=True)
class NewKey:
    """What a new or rotated key shows once and never again."""

    stored: StoredKey
    key: str
    webhook_secret: str


def fingerprint(key: str) -> str:
    """What the broker holds of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def new_webhook_secret() -> str:
    """A secret as Standard Webhooks writes it: `whsec_` and 32 random bytes in base64."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


class KeyRing:
    """All that happens to stored keys. Safe to share between threads."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis: Any = client

    @staticmethod
    def key(key_id: str) -> str:
        """The record's key in the broker."""
        return f"{PREFIX}key:{key_id}"

    def create(
        self,
        name: str,
        *,
        scopes: frozenset[Scope] = ALL_SCOPES,
        rate_per_min: int | None = None,
        max_active: int | None = None,
        days: int = 365,
    ) -> NewKey:
        """A new key; its life ends after `days` whatever happens."""
        key_id = new_key_id()
        key, webhook_secret, now = _new_secret(key_id), new_webhook_secret(), int(time.time())
        fields = {
            "name": name,
            "scopes": " ".join(sorted(scopes)),
            "hash": fingerprint(key),
            "webhook_secret": webhook_secret,
            "created_at": now,
            "expires_at": now + days * DAY_S,
        }
        if rate_per_min is not None:
            fields["rate_per_min"] = rate_per_min
        if max_active is not None:
            fields["max_active"] = max_active
        self._write(key_id, fields, now + days * DAY_S)
        return NewKey(self.get(key_id), key, webhook_secret)

    def _write(self, key_id: str, fields: dict[str, Any], expires_at: int) -> None:
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(self.key(key_id), mapping=fields)
            pipe.expireat(self.key(key_id), expires_at)
            pipe.zadd(KEYS, {key_id: expires_at})
            # The longest life of any key: the list must not end before an entry of it.
            pipe.expire(KEYS, LONGEST_DAYS * DAY_S)
            pipe.execute()

    def any(self) -> bool:
        """Whether a key was ever made whose life has not ended, revoked ones included."""
        return bool(self._redis.zcount(KEYS, time.time(), "+inf"))

    def get(self, key_id: str) -> StoredKey:
        """One key, revoked or not.

        Raises:
            UnknownKeyError: there is none.
        """
        fields = self._redis.hgetall(self.key(key_id))
        if "expires_at" not in fields:
            raise UnknownKeyError(key_id)
        return _stored(key_id, fields)

    def all(self) -> list[StoredKey]:
        """Every key whose life has not ended, oldest first."""
        now = time.time()
        self._redis.zremrangebyscore(KEYS, "-inf", now)
        found = [(key_id, self._redis.hgetall(self.key(key_id))) for key_id in self._redis.zrange(KEYS, 0, -1)]
        stored = [_stored(key_id, fields) for key_id, fields in found if "expires_at" in fields]
        return sorted(stored, key=lambda key: (key.created_at, key.id))

    def find(self, sent: str) -> StoredKey | None:
        """The key that this text is, if it is one in force."""
        match = KEY_PATTERN.fullmatch(sent)
        if match is None:
            return None
        fields = self._redis.hgetall(self.key(match[1]))
        if "expires_at" not in fields or "revoked_at" in fields:
            return None
        now, sent_hash = time.time(), fingerprint(sent)
        matches = hmac.compare_digest(sent_hash, fields["hash"])
        if now < float(fields.get("previous_until", 0)):
            matches |= hmac.compare_digest(sent_hash, fields["previous_hash"])
        return _stored(match[1], fields) if matches and now < float(fields["expires_at"]) else None

    def rotate(self, key_id: str, *, grace_s: int = 0, days: int = 365) -> NewKey:
        """A new secret for a key, which keeps its jobs; the old secret works for `grace_s` seconds more.

        Raises:
            UnknownKeyError: there is no such key in force.
        """
        fields = self._in_force(key_id)
        key, now = _new_secret(key_id), int(time.time())
        changed = {"hash": fingerprint(key), "expires_at": now + days * DAY_S}
        changed |= {"previous_hash": fields["hash"], "previous_until": now + grace_s}
        self._write(key_id, changed, now + days * DAY_S)
        return NewKey(self.get(key_id), key, fields["webhook_secret"])

    def rotate_webhook_secret(self, key_id: str, *, grace_s: int = DAY_S) -> str:
        """A new secret to sign webhooks with; for `grace_s` seconds they carry a signature by the old one too.

        Raises:
            UnknownKeyError: there is no such key in force.
        """
        fields = self._in_force(key_id)
        secret, until = new_webhook_secret(), int(time.time()) + grace_s
        changed = {"webhook_secret": secret}
        changed |= {"previous_webhook_secret": fields["webhook_secret"], "previous_webhook_until": str(until)}
        self._redis.hset(self.key(key_id), mapping=changed)
        return secret

    def revoke(self, key_id: str) -> None:
        """End a key now.

        Raises:
            UnknownKeyError: there is no such key in force.
        """
        self._in_force(key_id)
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(self.key(key_id), "revoked_at", int(time.time()))
            pipe.hdel(self.key(key_id), "hash", "previous_hash", "webhook_secret", "previous_webhook_secret")
            pipe.execute()

    def webhook_secrets(self, owner: str) -> list[str]:
        """What webhooks of this owner's jobs are signed with, newest first; none where no key in force owns them."""
        if not owner.startswith(OWNER_PREFIX):
            return []
        fields = self._redis.hgetall(self.key(owner.removeprefix(OWNER_PREFIX)))
        found = [fields["webhook_secret"]] if "webhook_secret" in fields else []
        if found and time.time() < float(fields.get("previous_webhook_until", 0)):
            found.append(fields["previous_webhook_secret"])
        return found

    def _in_force(self, key_id: str) -> dict[str, str]:
        fields: dict[str, str] = self._redis.hgetall(self.key(key_id))
        if "hash" not in fields:
            raise UnknownKeyError(key_id)
        return fields


def _new_secret(key_id: str) -> str:
    return f"fv_{key_id}_{secrets.token_hex(32)}"


def _stored(key_id: str, fields: dict[str, str]) -> StoredKey:
    def when(name: str) -> dt.datetime | None:
        return dt.datetime.fromtimestamp(float(fields[name]), dt.UTC) if name in fields else None

    def limit(name: str) -> int | None:
        return int(fields[name]) if name in fields else None

    created_at, expires_at = when("created_at"), when("expires_at")
    assert created_at is not None  # noqa: S101  (both are written with the key)
    assert expires_at is not None  # noqa: S101
    return StoredKey(
        id=key_id,
        name=fields["name"],
        scopes=frozenset(map(Scope, fields["scopes"].split())),
        created_at=created_at,
        expires_at=expires_at,
        rate_per_min=limit("rate_per_min"),
        max_active=limit("max_active"),
        last_used_at=when("last_used_at"),
        revoked_at=when("revoked_at"),
    )
