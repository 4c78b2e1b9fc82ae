"""The calibration's document, which every command of `lab.calibrate` renews a part of."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any


@contextmanager
def renewed() -> Iterator[dict[str, Any]]:
    """`workers/rppg/fusion/calibration.json` to change in place; written at the end, and not after an error."""
    path = Path(str(files("workers.rppg.fusion") / "calibration.json"))
    document = json.loads(path.read_text("utf-8"))
    yield document
    path.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
