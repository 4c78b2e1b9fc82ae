"""API keys, stored in the broker, so that creation, rotation and revocation apply to every gateway without a restart.

A key is `fv_ID_SECRET`. The broker stores its SHA-256, not the key. The secret has 256 random bits, so a slow hash
would add no protection and cost every request. Layout, under `fv:`:

    key:{id}   hash   name, scopes, limits, times, hash of the key and, after a rotation, of the previous one
    keys       zset   ids by expiry; a revoked key stays listed until then
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

#: The broker's key of the sorted set of ids.
KEYS: Final = f"{PREFIX}keys"
#: Prefix of the owner of a stored key's jobs. The owner stays the same when the key is rotated.
OWNER_PREFIX: Final = "key:"
#: The owner of jobs that were sent without a key.
ANONYMOUS: Final = "-"
DAY_S: Final = 86_400
#: Longest life of a key in days.
MAX_DAYS: Final = 3_650


class Scope(StrEnum):
    """Permissions of a key."""

    SUBMIT = "submit"
    READ = "read"
    DELETE = "delete"


#: Every scope.
ALL_SCOPES: Final = frozenset(Scope)


#: Characters of its digest by which a key of the settings is named: enough to tell a few keys apart.
_DIGEST_LENGTH: Final = 8


def public_id(owner: str) -> str | None:
    """Return how logs and lists name an owner: a stored key by its id, one of the settings by its digest's start.

    None for jobs and requests without a key.
    """
    if owner.startswith(OWNER_PREFIX):
        return owner.removeprefix(OWNER_PREFIX)
    return None if owner in {"", ANONYMOUS} else f"settings:{owner[:_DIGEST_LENGTH]}"


class UnknownKeyError(Exception):
    """The key does not exist, has expired or was revoked. `facevitals keys list` lists the keys."""


@dataclass(frozen=True)
class StoredKey:
    """A key without its secret. A limit of None means the default of the settings."""

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
        """The owner of this key's jobs."""
        return OWNER_PREFIX + self.id


@dataclass(frozen=True)
class NewKey:
    """A new or rotated key, with the secrets that are shown only once."""

    stored: StoredKey
    key: str
    webhook_secret: str


def fingerprint(key: str) -> str:
    """Return the SHA-256 of a key, as the broker stores it."""
    return hashlib.sha256(key.encode()).hexdigest()


def new_webhook_secret() -> str:
    """Return a new secret in the format of Standard Webhooks: `whsec_` and 32 random bytes in base64."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


class KeyRing:
    """Create, look up, rotate and revoke stored keys. Thread-safe."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis: Any = client

    @property
    def client(self) -> Any:  # noqa: ANN401  (redis-py's types do not know `decode_responses`)
        """The broker that holds the keys."""
        return self._redis

    @staticmethod
    def key(key_id: str) -> str:
        """Return the broker's key of a stored key's record."""
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
        """Create a key that expires after `days`."""
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
            # The list must not expire before its last entry.
            pipe.expire(KEYS, MAX_DAYS * DAY_S)
            pipe.execute()

    def any(self) -> bool:
        """Return whether there are keys that have not expired, including revoked ones."""
        return bool(self._redis.zcount(KEYS, time.time(), "+inf"))

    def get(self, key_id: str) -> StoredKey:
        """Return a key, revoked or not.

        Raises:
            UnknownKeyError: There is no such key.
        """
        fields = self._redis.hgetall(self.key(key_id))
        if "expires_at" not in fields:
            raise UnknownKeyError(key_id)
        return _stored(key_id, fields)

    def all(self) -> list[StoredKey]:
        """Return every key that has not expired, oldest first."""
        now = time.time()
        self._redis.zremrangebyscore(KEYS, "-inf", now)
        found = [(key_id, self._redis.hgetall(self.key(key_id))) for key_id in self._redis.zrange(KEYS, 0, -1)]
        stored = [_stored(key_id, fields) for key_id, fields in found if "expires_at" in fields]
        return sorted(stored, key=lambda key: (key.created_at, key.id))

    def find(self, sent: str) -> StoredKey | None:
        """Return the active key with this text; None if there is none."""
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
        """Replace a key's secret. The key keeps its jobs, and the old secret is valid for another `grace_s` seconds.

        Raises:
            UnknownKeyError: There is no such active key.
        """
        fields = self._active_fields(key_id)
        key, now = _new_secret(key_id), int(time.time())
        changed = {"hash": fingerprint(key), "expires_at": now + days * DAY_S}
        changed |= {"previous_hash": fields["hash"], "previous_until": now + grace_s}
        self._write(key_id, changed, now + days * DAY_S)
        return NewKey(self.get(key_id), key, fields["webhook_secret"])

    def rotate_webhook_secret(self, key_id: str, *, grace_s: int = DAY_S) -> str:
        """Replace a key's webhook secret. For `grace_s` seconds webhooks are signed with both, the old and the new.

        Raises:
            UnknownKeyError: There is no such active key.
        """
        fields = self._active_fields(key_id)
        secret, until = new_webhook_secret(), int(time.time()) + grace_s
        changed = {"webhook_secret": secret}
        changed |= {"previous_webhook_secret": fields["webhook_secret"], "previous_webhook_until": str(until)}
        self._redis.hset(self.key(key_id), mapping=changed)
        return secret

    def revoke(self, key_id: str) -> None:
        """Revoke a key with immediate effect.

        Raises:
            UnknownKeyError: There is no such active key.
        """
        self._active_fields(key_id)
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(self.key(key_id), "revoked_at", int(time.time()))
            pipe.hdel(self.key(key_id), "hash", "previous_hash", "webhook_secret", "previous_webhook_secret")
            pipe.execute()

    def webhook_secrets(self, owner: str) -> list[str]:
        """Return the secrets that sign webhooks of this owner's jobs, newest first; none without an active key."""
        if not owner.startswith(OWNER_PREFIX):
            return []
        fields = self._redis.hgetall(self.key(owner.removeprefix(OWNER_PREFIX)))
        found = [fields["webhook_secret"]] if "webhook_secret" in fields else []
        if found and time.time() < float(fields.get("previous_webhook_until", 0)):
            found.append(fields["previous_webhook_secret"])
        return found

    def _active_fields(self, key_id: str) -> dict[str, str]:
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
