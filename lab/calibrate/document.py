"""The calibration's document; each command of `lab.calibrate` renews a part of it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any


@contextmanager
def renewed_document() -> Iterator[dict[str, Any]]:
    """Context with the content of the workers' `calibration.json`; written at its end, unless an error is raised."""
    path = Path(str(files("workers.rppg.fusion") / "calibration.json"))
    document = json.loads(path.read_text("utf-8"))
    yield document
    path.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
