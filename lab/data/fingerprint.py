"""Fingerprints that name cached files by what they were made of."""

import hashlib
from importlib.resources import files
from pathlib import Path


def fingerprint(*parts: object) -> str:
    """Hash of `parts`, 20 hexadecimal digits: a `Path` counts by its file's content, anything else by its `repr`."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.read_bytes() if isinstance(part, Path) else repr(part).encode()
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()[:20]


def workers_fingerprint(*, vision: bool = False) -> str:
    """Hash of the workers' code and calibration, 12 hexadecimal digits; `vision` and `liveness` only on request."""
    folder = Path(str(files("workers")))
    code = (path for path in folder.rglob("*") if path.suffix in {".py", ".json"})
    left_out = set() if vision else {folder / "vision", folder / "liveness"}
    found = sorted(path for path in code if not left_out & set(path.parents))
    return hashlib.sha256(b"".join(path.read_bytes() for path in found)).hexdigest()[:12]
