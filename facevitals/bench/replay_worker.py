"""A worker that replays the recorded analysis of one clip, to measure the other costs of a job.

Everything else is the real worker. Events, outcomes and waveforms are as many and as large as those of a real clip.
"""

import os
from pathlib import Path

from facevitals.bench.replay import RECORDINGS
from facevitals.bench.substitute_analyzer import substitute_analyzer
from facevitals.bench.worker_variables import RECORDING_VARIABLE
from shared.schemas import ClipFacts
from shared.vitals import Branch
from workers.branch.result import BranchResult, Progress
from workers.tasks import app


class ReplayAnalyzer:
    """Replaces `workers.analyzer.Analyzer`."""

    def __init__(self) -> None:
        self._recordings = RECORDINGS.validate_json(Path(os.environ[RECORDING_VARIABLE]).read_bytes())

    def close(self) -> None:
        """Do nothing: no resource is open."""

    def branch(
        self, branch: Branch, path: Path, _requested: frozenset[str], progress: Progress
    ) -> tuple[ClipFacts, BranchResult]:
        """Read the clip's bytes, report the recorded progress, and return the recorded result."""
        path.read_bytes()
        recording = self._recordings[branch]
        for event in recording.events:
            if event.vital is not None:
                progress.vital(event.name, event.vital)
            elif event.check is not None:
                progress.check(event.name, event.check)
            else:
                progress.stage(event.name)
        return recording.facts, BranchResult(recording.checks, recording.vitals.by_name(), recording.waveforms)


substitute_analyzer(ReplayAnalyzer, "facevitals.bench.replay_worker")

__all__ = ["app"]
