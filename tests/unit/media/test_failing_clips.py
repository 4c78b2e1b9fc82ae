"""One clip never fails a batch, and a slow server never rejects a clip."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from billiard.exceptions import SoftTimeLimitExceeded
from rich.console import Console

import workers.analyzer
from facevitals.cli import analyze_command
from facevitals.cli.render import print_document
from facevitals.cli.service_commands import exit_code
from shared.schemas import (
    BranchStatus,
    ErrorCode,
    HeartRate,
    JobDocument,
    JobState,
    RespirationRate,
    Spectrum,
    Stress,
    Vital,
    Vitals,
    VitalStatus,
    Wave,
    Waveforms,
)
from shared.vitals import VITALS, Branch, Reason
from workers.analyzer import Analyzer, AnalyzerOptions
from workers.branch.failures import outcome_of_exception
from workers.branch.result import BranchResult, Progress
from workers.face.tracker import FaceTrack, FaceTracker
from workers.media.clip import open_clip
from workers.rppg.pipeline import Examined

from .conftest import Encode
from .test_clip import FAST


class Faulty(Analyzer):
    """An analyzer that raises `error` in one place, with branches that measure nothing."""

    error: Exception | None = None
    where: str = ""

    def _fail(self, where: str) -> None:
        if self.error is not None and self.where == where:
            raise self.error

    def observe(self, *arguments: Any) -> Any:  # noqa: ANN401
        self._fail("decoding")
        return super().observe(*arguments)

    def measure(
        self,
        branch: Branch,
        track: FaceTrack,
        requested: frozenset[str],
        progress: Progress,
        examined: Examined | None = None,
    ) -> BranchResult:
        self._fail(branch)
        return BranchResult()


@pytest.fixture(scope="module")
def analyzer() -> Iterator[Faulty]:
    analyzer = Faulty(FaceTracker(), None, None, AnalyzerOptions(Path()))
    yield analyzer
    analyzer.close()


ERRORS = [ValueError("a secret"), MemoryError(), RecursionError(), AssertionError(), NotADirectoryError("model")]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("where", ["decoding", *Branch])
def test_exceptions_of_a_clip_end_in_its_document(
    analyzer: Faulty, encode: Encode, monkeypatch: pytest.MonkeyPatch, where: str, error: Exception
) -> None:
    monkeypatch.setattr(analyzer, "where", where)
    monkeypatch.setattr(analyzer, "error", error)
    analysis = analyzer.analyze(encode())
    document = analysis.document
    failed = {name for name, branch in document.branches.by_name().items() if branch.status is BranchStatus.ERROR}
    assert failed == (set(Branch) if where == "decoding" else {where})
    assert document.state is (JobState.FAILED if where == "decoding" else JobState.SUCCEEDED)
    for name in failed:
        problem = document.branches.by_name()[name].error
        assert problem is not None
        assert problem.code is ErrorCode.BRANCH_FAILED
        assert type(error).__name__ in problem.detail
        assert {v.reason for n, v in document.vitals.by_name().items() if VITALS[n].branch == name} == {
            Reason.BRANCH_FAILED
        }
    assert exit_code(document) == 1
    assert "secret" not in document.model_dump_json()
    # The traceback is for the operator, not for the document.
    assert len(analysis.tracebacks) == 1
    assert type(error).__name__ in analysis.tracebacks[0]


def test_waveforms_belong_to_vitals_with_a_value(
    analyzer: Faulty, encode: Encode, monkeypatch: pytest.MonkeyPatch
) -> None:
    wave, spectrum = Wave(times_s=[0.0], values=[1.0]), Spectrum(rates_per_min=[60.0], power=[1.0])
    names = ["heart_rate", "heart_rate_over_time", "respiration_rate"]
    waves = Waveforms(waves=dict.fromkeys(names, wave), spectra=dict.fromkeys(names, spectrum))
    vitals: dict[str, Vital] = {
        "heart_rate": HeartRate.without_value("/min", VitalStatus.ABSTAINED, Reason.NO_PULSE),
        "respiration_rate": RespirationRate(value=15.0, unit="/min", status=VitalStatus.OK),
    }
    monkeypatch.setattr(analyzer, "measure", lambda *_: BranchResult(vitals=vitals, waveforms=waves))
    served = analyzer.analyze(encode()).waveforms
    assert list(served.waves) == list(served.spectra) == ["respiration_rate"]


def test_an_os_error_of_the_tracker_is_no_missing_clip(
    analyzer: Faulty, encode: Encode, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> FaceTrack:
        raise OSError("no space left")

    monkeypatch.setattr(FaceTracker, "track", failing)
    problem = analyzer.analyze(encode()).document.error
    assert problem is not None
    assert problem.code is ErrorCode.BRANCH_FAILED


@pytest.mark.parametrize("name", ["assemble", "served_waveforms"])
def test_an_exception_after_the_measurement_fails_its_own_document_only(
    analyzer: Faulty, encode: Encode, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    original, calls = getattr(workers.analyzer, name), []

    def fails_once(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        calls.append(name)
        if len(calls) == 1:
            raise ValueError("a secret")
        return original(*arguments, **options)

    monkeypatch.setattr(workers.analyzer, name, fails_once)
    states = [analyzer.analyze(encode()).document.state for _ in range(2)]
    assert states == [JobState.FAILED, JobState.SUCCEEDED]


@pytest.mark.parametrize("as_json", [True, False])
def test_an_exception_while_printing_costs_that_document_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    clips = [tmp_path / name for name in ("first.mp4", "second.mp4")]
    for clip in clips:
        clip.write_text("not a clip")
    printed: list[object] = []
    owner, name = (JobDocument, "as_json") if as_json else (analyze_command, "print_document")

    def fails_once(*arguments: object) -> dict[str, str]:
        printed.append(arguments)
        if len(printed) == 1:
            raise UnicodeEncodeError("ascii", "\u00e9", 0, 1, "ordinal not in range")
        return {}

    monkeypatch.setattr(owner, name, fails_once)
    with pytest.raises(typer.Exit) as ended:
        analyze_command.analyze(clips, as_json=as_json, estimators="pos", raw=True)
    assert ended.value.exit_code == 1
    assert len(printed) == 2
    assert "UnicodeEncodeError" in capsys.readouterr().err


def test_ctrl_c_ends_the_batch(analyzer: Faulty, encode: Encode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analyzer, "where", "decoding")
    monkeypatch.setattr(analyzer, "error", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        analyzer.analyze(encode())


def test_unreadable_files_fail_their_own_document_only(encode: Encode, tmp_path: Path) -> None:
    folder, pipe, noise, gone, gone_too = (
        tmp_path / name for name in ("folder[", "pipe.mp4", "folder[/b] \udcff.mp4", "gone.mp4", "gone \udcff.mp4")
    )
    folder.mkdir()
    os.mkfifo(pipe)
    noise.write_bytes(b"no clip")
    clips = [gone, gone_too, folder, encode(), pipe, noise, encode("again.mp4")]
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    for as_json in (["--json"], []):
        command = [sys.executable, "-m", "facevitals", "analyze", "--vitals", "heart_rate", *as_json]
        ended = subprocess.run([*command, *clips], env=env, capture_output=True, text=True, check=False, timeout=120)
        assert ended.returncode == 1, ended.stderr
        if not as_json:
            assert ended.stdout.count("Not a medical device") == len(clips)
            continue
        documents = [json.loads(line) for line in ended.stdout.splitlines()]
        codes = [document["error"] and document["error"]["code"] for document in documents]
        unread = "clip_missing"
        assert codes == [unread, unread, unread, None, unread, "container_not_allowed", None]
        assert str(gone) in documents[0]["error"]["detail"]
        assert r"gone \udcff.mp4" in documents[1]["error"]["detail"]


def test_any_document_renders_as_json_and_as_a_table(analyzer: Faulty, encode: Encode) -> None:
    document = analyzer.analyze(encode()).document
    unprintable = Stress(value="stress", unit=None, status=VitalStatus.OK, score=float("nan"), detail="[/dim] [bold")
    document = document.model_copy(update={"vitals": Vitals(stress=unprintable)})
    assert json.loads(json.dumps(document.as_json(), allow_nan=False))["vitals"]["stress"]["score"] is None
    console = Console(width=200)
    with console.capture() as shown:
        print_document(console, document)
    assert "[/dim] [bold" in shown.get()


def test_the_time_limit_names_the_server_as_a_cause_too() -> None:
    outcome = outcome_of_exception(SoftTimeLimitExceeded(), Branch.RPPG, 60_000)
    assert outcome.status is BranchStatus.TIMEOUT
    assert outcome.error is not None
    assert outcome.error.code is ErrorCode.BRANCH_TIMEOUT
    assert "server" in outcome.error.detail
    assert "shorter" not in outcome.error.detail


#: Decodes a clip repeatedly with a budget of one second each, and reports the results.
_DECODE = """
import sys
from pathlib import Path
from workers.media.clip import ClipBudget, open_clip
for _ in range(int(sys.argv[2])):
    with open_clip(Path(sys.argv[1]), ClipBudget(cpu_s=1.0)) as clip:
        print(sum(1 for _ in clip.frames()), flush=True)
"""


def test_a_suspended_process_does_not_reject_its_clip(encode: Encode) -> None:
    clip = encode(times_s=np.arange(120) / 30)
    command = [sys.executable, "-c", _DECODE, str(clip), "200"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as decoding:
        assert decoding.stdout is not None
        first = decoding.stdout.readline()
        for _ in range(3):
            os.kill(decoding.pid, signal.SIGSTOP)
            time.sleep(1.1)
            os.kill(decoding.pid, signal.SIGCONT)
            time.sleep(0.05)
        rest = decoding.stdout.read()
    assert decoding.returncode == 0
    # All complete: FFmpeg's own time-out would have ended one of them early.
    assert {first, *rest.splitlines(keepends=True)} == {"120\n"}


@pytest.mark.parametrize(
    ("codec", "name"),
    [
        ("libx264", "clip.mp4"),
        ("libx265", "clip.mp4"),
        ("libvpx", "clip.webm"),
        ("libvpx-vp9", "clip.webm"),
        ("libsvtav1", "clip.webm"),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="counts the kernel's threads by /proc")
def test_decoding_runs_in_the_thread_whose_time_is_counted(encode: Encode, codec: str, name: str) -> None:
    encoding = {"x265-params": "log-level=none"} if codec == "libx265" else FAST if codec.startswith("libvpx") else {}
    clip = encode(name, codec, size=(640, 480), encoding=encoding)

    def threads() -> int:
        return len(list(Path("/proc/self/task").iterdir()))

    before = threads()
    with open_clip(clip) as opened:
        assert {threads() for _ in opened.frames()} <= {before, before + 1}


def test_a_disk_error_is_not_treated_as_the_end_of_the_clip(encode: Encode, monkeypatch: pytest.MonkeyPatch) -> None:
    """FFmpeg treats a disk error as the end of the file, so that the clip would be analysed in part."""
    clip = encode("clip.webm", "libvpx", np.arange(600) / 30, size=(320, 240), encoding=FAST)
    from workers.media import cpu_budget

    def failing(self: cpu_budget.BudgetedFile, size: int) -> bytes:
        if self.tell() >= 40_000:
            raise OSError(5, "Input/output error")
        return self._file.read(size)

    assert clip.stat().st_size > 50_000
    monkeypatch.setattr(cpu_budget.BudgetedFile, "read", failing)
    with pytest.raises(OSError, match="Input/output"), open_clip(clip) as opened:
        list(opened.frames())


def test_the_command_prints_the_reason_of_a_rejected_clip_once(analyzer: Faulty, tmp_path: Path) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("not a clip")
    console = Console(width=300)
    with console.capture() as shown:
        print_document(console, analyzer.analyze(text).document)
    printed = shown.get()
    assert printed.count("neither MP4 nor WebM") == 1
    assert "branch_failed" not in printed
