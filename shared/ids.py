"""Random ids, without a time or a counter, so that they can't be guessed or derived from one another.

In a gateway without keys a job's id is all that protects it. Ids have the format of ULIDs, 26 characters of Crockford's
base32. Earlier releases used ULIDs; their records and clients keep working.
"""

import base64
import re
import secrets
from typing import Final

#: Crockford's base32, upper case.
ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
#: Characters of an id; 5 random bits each.
ID_LENGTH: Final = 26
#: Regular expression of an id, also used in the OpenAPI document.
ID_PATTERN: Final = rf"^[0-9A-HJKMNP-TV-Z]{{{ID_LENGTH}}}$"
#: Pattern of an API key, with an id of 16 characters, or of 12 as in older releases. Used for redaction as well.
KEY_PATTERN: Final = re.compile(r"fv_([a-z2-7]{12}|[a-z2-7]{16})_[0-9a-f]{64}")

_ID: Final = re.compile(ID_PATTERN)


def new_id() -> str:
    """Return a new id of a job, a webhook or a quota slot, with 130 random bits."""
    return "".join(ALPHABET[byte & 31] for byte in secrets.token_bytes(ID_LENGTH))


def is_id(text: str) -> bool:
    """Return whether `text` has the format of an id. Other text must not become part of a broker key or a path."""
    return _ID.fullmatch(text) is not None


def new_key_id() -> str:
    """Return a new id of an API key: 80 random bits in 16 characters that are easy to type."""
    return base64.b32encode(secrets.token_bytes(10)).decode().lower()
