"""`python -m lab.hostile`: tries a corpus and says how it ended; the last line printed is one JSON object.

Exit 1 where a file crashed or hung its process, ended without a reason, or cost more than is stated here; such files
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
from pathlib import Path
from typing import Final

from lab.hostile.corpus import corpus
from lab.hostile.trial import Ending, Prober

#: What one file of this corpus may cost, stated in SECURITY.md. The costliest take 3.8 s (200 blocks of zlib that
#: unpack to 9 MB each; the budget of decoding time ends more of them) and 129 MB (8 MB of private data).
MOST_CPU_S: Final = 5.0
MOST_MB: Final = 150.0


@dataclass
class Tally:
    """What came of the files so far."""

    tried: int = 0
    endings: Counter[str] = field(default_factory=Counter)
    most_cpu: tuple[float, str] = (0.0, "")
    most_mb: tuple[float, str] = (0.0, "")
    bad: list[str] = field(default_factory=list)

    def add(self, name: str, ending: Ending) -> bool:
        """Count it; whether it ended well."""
        self.tried += 1
        self.endings[ending.how] += 1
        self.most_cpu = max(self.most_cpu, (ending.cpu_s, name))
        self.most_mb = max(self.most_mb, (ending.peak_mb, name))
        well = ending.with_reason and ending.cpu_s <= MOST_CPU_S and ending.peak_mb <= MOST_MB
        if not well:
            cost = f"{ending.cpu_s:.2f} s, {ending.peak_mb:.0f} MB"
            self.bad.append(f"{name}: {ending.how} ({cost}) {ending.detail}".rstrip())
        return well


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m lab.hostile", description=__doc__)
    parser.add_argument("--files", type=int, default=3000, help="size of the corpus")
    parser.add_argument("--seconds", type=float, help="go on for as long instead")
    parser.add_argument("--seed", type=int, default=1, help="of the mutations")
    parser.add_argument("--processes", type=int, default=min(os.cpu_count() or 1, 4), help="that decode")
    parser.add_argument("--keep", type=Path, default=Path("bench-out/hostile"), help="folder for files that end badly")
    asked = parser.parse_args()
    end = time.monotonic() + asked.seconds if asked.seconds else None
    tally = try_all(corpus(None if asked.seconds else asked.files, asked.seed), asked.processes, asked.keep, end)
    for line in tally.bad:
        sys.stderr.write(line + "\n")
    summary = {
        "files": tally.tried,
        "bad": len(tally.bad),
        "most_cpu_s": round(tally.most_cpu[0], 2),
        "most_mb": round(tally.most_mb[0]),
        "costliest": [tally.most_cpu[1], tally.most_mb[1]],
        "endings": dict(tally.endings.most_common()),
    }
    sys.stdout.write(json.dumps(summary) + "\n")
    return 1 if tally.bad else 0


def try_all(files: Iterator[tuple[str, bytes]], processes: int, keep: Path, end: float | None = None) -> Tally:
    """Try files on some processes, until there are none or `end` (monotonic) has come."""
    tally, lock = Tally(), threading.Lock()

    def work(number: int, folder: Path, prober: Prober) -> None:
        path = folder / f"clip-{number}"
        try:
            while end is None or time.monotonic() < end:
                with lock:
                    named = next(files, None)
                if named is None:
                    return
                name, content = named
                path.write_bytes(content)
                ending = prober.try_out(path)
                with lock:
                    if not tally.add(name, ending):
                        keep.mkdir(parents=True, exist_ok=True)
                        (keep / name[:120]).write_bytes(content)
        finally:
            prober.close()

    with tempfile.TemporaryDirectory(prefix="facevitals-hostile-") as name:
        threads = [
            threading.Thread(target=work, args=(number, Path(name), Prober())) for number in range(max(processes, 1))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return tally


if __name__ == "__main__":
    sys.exit(main())
