"""Ids that nobody can guess or derive from others: random from end to end, without a time or a counter in them.

A job's id is all that guards it in an open gateway. Ids look like ULIDs, 26 characters of Crockford's base32, as they
did when they were some: stored records and clients keep working.
"""

import base64
import re
import secrets
from typing import Final

#: Crockford's base32, upper case.
ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
#: Characters of an id; 5 random bits each.
ID_LENGTH: Final = 26
ID_PATTERN: Final = rf"^[0-9A-HJKMNP-TV-Z]{{{ID_LENGTH}}}$"
#: What a key looks like, with an id of 16 characters or an older release's 12; `shared.observability.redaction` knows
#: it by this.
KEY_PATTERN: Final = re.compile(r"fv_([a-z2-7]{12}|[a-z2-7]{16})_[0-9a-f]{64}")

_ID: Final = re.compile(ID_PATTERN)


def new_id() -> str:
    """A new id of a job, a webhook or a hold: 130 random bits."""
    return "".join(ALPHABET[byte & 31] for byte in secrets.token_bytes(ID_LENGTH))


def is_id(text: str) -> bool:
    """Whether this text could be an id; nothing else may become part of a broker key or of a path."""
    return _ID.fullmatch(text) is not None


def new_key_id() -> str:
    """A new id of an API key: 80 random bits as 16 characters, which people type. They show in the key itself."""
    return base64.b32encode(secrets.token_bytes(10)).decode().lower()
