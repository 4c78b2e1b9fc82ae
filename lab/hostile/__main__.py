"""`python -m lab.hostile`: decode a hostile corpus and report the outcomes; the last line printed is one JSON object.

Exit 1 if a file crashed or hung its process, ended without a reason, or exceeded `MAX_CPU_S` or `MAX_MB`; such files
are kept in `--keep`, to become tests.
"""

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from lab.hostile.corpus import corpus
from lab.hostile.decode_probe import DecodeOutcome, DecodeProbe, frames_of
from shared.clips.first_bytes import ClipFormats

#: Limits for one file of this corpus, as stated in SECURITY.md. The costliest take 1.3 s (ten thousand frames) and
#: 129 MB (8 MB of private data).
MAX_CPU_S: Final = 5.0
MAX_MB: Final = 150.0


@dataclass
class Results:
    """Outcomes of the files so far, the costliest ones, and those that ended badly."""

    files: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    max_cpu: tuple[float, str] = (0.0, "")
    max_mb: tuple[float, str] = (0.0, "")
    bad: list[str] = field(default_factory=list)

    def add(self, name: str, outcome: DecodeOutcome) -> bool:
        """Count an outcome; returns whether it is clean and within the limits."""
        self.files += 1
        self.outcomes[outcome.how] += 1
        self.max_cpu = max(self.max_cpu, (outcome.cpu_s, name))
        self.max_mb = max(self.max_mb, (outcome.peak_mb, name))
        clean = outcome.is_clean and outcome.cpu_s <= MAX_CPU_S and outcome.peak_mb <= MAX_MB
        if not clean:
            cost = f"{outcome.cpu_s:.2f} s, {outcome.peak_mb:.0f} MB"
            self.bad.append(f"{name}: {outcome.how} ({cost}) {outcome.detail}".rstrip())
        return clean


def main() -> int:
    """Decode the corpus; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m lab.hostile", description=__doc__)
    parser.add_argument("--files", type=int, default=3000, help="size of the corpus")
    parser.add_argument("--seconds", type=float, help="continue for this long instead")
    parser.add_argument("--seed", type=int, default=1, help="seed of the mutations")
    parser.add_argument("--processes", type=int, default=min(os.cpu_count() or 1, 4), help="decoding processes")
    parser.add_argument("--keep", type=Path, default=Path("bench-out/hostile"), help="folder for files that end badly")
    options = parser.parse_args()
    end = time.monotonic() + options.seconds if options.seconds else None
    if options.seconds:
        results = decode_all(corpus(None, options.seed), options.processes, options.keep, end)
    else:
        results = Results()
        for number, formats in enumerate(ClipFormats):
            files = corpus(options.files // len(ClipFormats), options.seed + number)
            decode_all(files, options.processes, options.keep, formats=formats, results=results)
    for line in results.bad:
        sys.stderr.write(line + "\n")
    summary = {
        "files": results.files,
        "bad": len(results.bad),
        "max_cpu_s": round(results.max_cpu[0], 2),
        "max_mb": round(results.max_mb[0]),
        "costliest": [results.max_cpu[1], results.max_mb[1]],
        "outcomes": dict(results.outcomes.most_common()),
    }
    sys.stdout.write(json.dumps(summary) + "\n")
    return 1 if results.bad else 0


def decode_all(
    files: Iterator[tuple[str, bytes]],
    processes: int,
    keep: Path,
    end: float | None = None,
    *,
    formats: ClipFormats = ClipFormats.ALL,
    results: Results | None = None,
) -> Results:
    """Decode files in `processes` processes, until there are none left or `end` (monotonic seconds) is reached.

    The outcomes are added to `results` if given.
    """
    results, lock = results or Results(), threading.Lock()
    read = partial(frames_of, formats=formats)

    def work(number: int, folder: Path, probe: DecodeProbe) -> None:
        path = folder / f"clip-{number}"
        try:
            while end is None or time.monotonic() < end:
                with lock:
                    named = next(files, None)
                if named is None:
                    return
                name, content = named
                path.write_bytes(content)
                outcome = probe.run(path)
                with lock:
                    if not results.add(name, outcome):
                        keep.mkdir(parents=True, exist_ok=True)
                        (keep / name[:120]).write_bytes(content)
        finally:
            probe.close()

    with tempfile.TemporaryDirectory(prefix="facevitals-hostile-") as name:
        threads = [
            threading.Thread(target=work, args=(number, Path(name), DecodeProbe(read)))
            for number in range(max(processes, 1))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return results


if __name__ == "__main__":
    sys.exit(main())
