"""The calibration: fitted thresholds, weights and error models, in `calibration.json` beside this file.

The commands of `lab.calibrate` write the file, with the data that it was fitted to. Each module reads its own section
into a dataclass of its own: what a threshold decides stands beside it.
"""

import hashlib
import json
from importlib.resources import files
from typing import Any, Final

_TEXT: Final = (files("workers.rppg.fusion") / "calibration.json").read_text("utf-8")
_DOCUMENT: Final[dict[str, Any]] = json.loads(_TEXT)
#: Digest of the file, for what is fitted to the numbers that result from it.
DIGEST: Final = hashlib.sha256(_TEXT.encode()).hexdigest()[:12]


def section(name: str) -> dict[str, Any]:
    """Return one section of the calibration, lists as tuples so that it can be held by frozen dataclasses.

    Raises:
        KeyError: the calibration has no section of that name.
    """
    frozen: dict[str, Any] = _frozen(_DOCUMENT[name])
    return frozen


def _frozen(value: Any) -> Any:  # noqa: ANN401  (whatever JSON holds)
    if isinstance(value, list):
        return tuple(_frozen(each) for each in value)
    if isinstance(value, dict):
        return {name: _frozen(each) for name, each in value.items()}
    return value
