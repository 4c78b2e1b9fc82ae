"""A worker with a faulty analysis that a test selects; everything else is the real worker.

`FAULT_VISION` and `FAULT_RPPG` select what a branch does: `ok`, `raise`, `hang`, `hang_ignoring_signals`, `die`,
`die_once`, `segfault`, `slow`, `brief`, `held` (until the file `hold` is removed).
With `FAULT_KEEP`, it copies the clip that it was given to `seen-BRANCH`.
"""

import ctypes
import os
import signal
import threading
import time
from pathlib import Path

from facevitals.bench.substitute_analyzer import abstentions, substitute_analyzer
from shared.schemas import ClipFacts
from shared.vitals import Branch, Reason
from workers.branch.result import BranchResult, Progress
from workers.tasks import app

FACTS = ClipFacts(
    duration_s=15, frames=450, fps=30, width=640, height=480, container="mp4", codec="h264", bytes=224, sha256="0" * 64
)

PAUSES_S = {"slow": 3.0, "brief": 0.3}

#: Message of the error. A constant, because a traceback shows the source line that raised.
QUOTED = "a secret of the clip"


class FaultyAnalyzer:
    """Takes the place of `Analyzer`."""

    def close(self) -> None:
        return

    def branch(
        self, branch: Branch, path: Path, wanted: frozenset[str], progress: Progress
    ) -> tuple[ClipFacts, BranchResult]:
        behaviour = os.environ.get(f"FAULT_{branch.upper()}", "ok")
        progress.stage("decoding and tracking")
        tries = Path(os.environ["FACEVITALS_DATA_DIR"]) / f"tries-{branch}"
        with tries.open("a") as file:
            file.write(".")
        if "FAULT_KEEP" in os.environ:
            Path(os.environ["FACEVITALS_DATA_DIR"], f"seen-{branch}").write_bytes(path.read_bytes())
        if behaviour == "raise":
            raise ZeroDivisionError(QUOTED)
        if behaviour == "hang":
            time.sleep(3600)
        if behaviour == "hang_ignoring_signals":
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)
            while True:
                time.sleep(1)
        if behaviour == "die" or (behaviour == "die_once" and tries.stat().st_size == 1):
            os.kill(os.getpid(), signal.SIGKILL)
        if behaviour == "segfault":
            # As in a decoder: in native code, in a separate thread.
            thread = threading.Thread(target=ctypes.string_at, args=(0,))
            thread.start()
            thread.join()
        if behaviour == "held":
            while Path(os.environ["FACEVITALS_DATA_DIR"], "hold").exists():
                time.sleep(0.02)
        if behaviour in PAUSES_S:
            time.sleep(PAUSES_S[behaviour])
        return FACTS, BranchResult(vitals=abstentions(branch, Reason.NO_PULSE))


substitute_analyzer(FaultyAnalyzer, "tests.service.faulty_worker")

__all__ = ["app"]
