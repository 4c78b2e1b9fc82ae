"""A worker that says again what the analysis said of one clip: everything that a job costs besides its analysis.

Everything else about it is the real worker; events, outcomes and waveforms are as large and as many as a real clip's.
"""

import os
from pathlib import Path
from typing import Final

from lab.bench.replay import RECORDINGS
from lab.bench.stand_in import stand_in
from shared.schemas import ClipFacts
from shared.vitals import Branch
from workers.branch.result import BranchResult, Progress
from workers.tasks import app

#: The file that `lab.bench.replay.keep` wrote.
RECORDING_VARIABLE: Final = "FACEVITALS_BENCH_RECORDING"


class ReplayAnalyzer:
    """Takes the place of `Analyzer`."""

    def __init__(self) -> None:
        self._recordings = RECORDINGS.validate_json(Path(os.environ[RECORDING_VARIABLE]).read_bytes())

    def close(self) -> None:
        """Nothing is held."""

    def branch(
        self, branch: Branch, path: Path, _wanted: frozenset[str], progress: Progress
    ) -> tuple[ClipFacts, BranchResult]:
        """Read the clip as its decoder would, and say what was said."""
        path.read_bytes()
        recording = self._recordings[branch]
        for told in recording.told:
            if told.vital is not None:
                progress.vital(told.name, told.vital)
            elif told.check is not None:
                progress.check(told.name, told.check)
            else:
                progress.stage(told.name)
        return recording.facts, BranchResult(recording.checks, recording.vitals.by_name(), recording.waveforms)


stand_in(ReplayAnalyzer, "lab.bench.replay_worker")

__all__ = ["app"]
