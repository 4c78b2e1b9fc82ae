"""`facevitals.analyze`, `Analyzer` and `simulate`, as a notebook uses them."""

import inspect
import json
import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import facevitals
from facevitals.simulation import Conditions
from lab.simulate import ClipSpec, Truth
from shared.schemas import ErrorCode, Vitals, VitalStatus
from shared.vitals import VITALS, Reason
from workers.rppg.fusion.pulse import Pulse, estimate_pulse
from workers.rppg.signals.traces import Traces

CONSUMER = Path(__file__).with_name("consumer.py")

#: Three threads analyse the clip with one analyzer.
SHARED = """
import json, sys
from concurrent.futures import ThreadPoolExecutor
import facevitals
with facevitals.Analyzer() as analyzer, ThreadPoolExecutor(3) as threads:
    results = threads.map(lambda clip: analyzer.analyze(clip, vitals=["heart_rate"]), [sys.argv[1]] * 3)
    print(json.dumps([result.vitals.heart_rate.value for result in results]))
"""


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Truth]:
    path = tmp_path_factory.mktemp("library") / "clip.mp4"
    return path, facevitals.simulate(path, heart_rate=80, duration_s=11, width=320, height=240, seed=3)


@pytest.fixture(scope="module")
def result(simulated: tuple[Path, Truth]) -> facevitals.Analysis:
    return facevitals.analyze(simulated[0], vitals=["heart_rate", "respiration_rate"])


def test_a_simulated_clip_gives_its_heart_rate(result: facevitals.Analysis, simulated: tuple[Path, Truth]) -> None:
    heart_rate = result.vitals.heart_rate
    assert heart_rate.status is VitalStatus.OK
    assert heart_rate.value == pytest.approx(simulated[1].heart_rate, abs=2)
    assert heart_rate.method is not None
    assert heart_rate.method.name == "verdict on pos, chrom, omit, pbv, mrc"
    assert result.vitals.age.reason is Reason.NOT_REQUESTED
    assert isinstance(result.vitals, Vitals)
    assert set(result.vitals.by_name()) == set(VITALS)
    assert result.document.versions == {"facevitals": facevitals.__version__}


def test_waves_are_arrays_with_their_times(result: facevitals.Analysis) -> None:
    pulse, spectrum = result.waves.pulse, result.waves.pulse_spectrum
    assert pulse is not None
    assert spectrum is not None
    assert pulse.times_s.shape == pulse.values.shape
    assert pulse.values.dtype == pulse.times_s.dtype == np.float64
    np.testing.assert_allclose(np.diff(pulse.times_s), 1 / 30, atol=1e-3)
    assert np.abs(pulse.values).max() == pytest.approx(1)
    assert spectrum.power.shape == spectrum.rates_per_min.shape
    np.testing.assert_allclose(60 * spectrum.frequencies_hz, spectrum.rates_per_min)
    fastest = spectrum.rates_per_min[spectrum.power.argmax()]
    assert fastest == pytest.approx(result.vitals.heart_rate.value, abs=4)
    assert pulse.values.tolist() == result.waveforms.waves["heart_rate"].values


def test_a_wave_goes_with_its_vital(result: facevitals.Analysis) -> None:
    given = result.vitals.respiration_rate.value is not None
    assert (result.waves.respiration is not None) == (result.waves.respiration_spectrum is not None) == given
    assert result.waves.heart_rate_over_time is None


def test_a_result_cannot_be_changed(result: facevitals.Analysis) -> None:
    with pytest.raises(FrozenInstanceError):
        result.document = result.document  # type: ignore[misc]


def test_the_command_line_prints_the_same_vitals(result: facevitals.Analysis, simulated: tuple[Path, Truth]) -> None:
    options = ["--json", "--waveforms", "--vitals", "heart_rate,respiration_rate"]
    command = [sys.executable, "-m", "facevitals", "analyze", *options, str(simulated[0])]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=200)
    printed = json.loads(done.stdout)
    assert printed["vitals"] == result.document.as_json()["vitals"]
    assert printed["waveforms"] == result.waveforms.as_json()


@pytest.mark.parametrize("check", [True, False])
def test_a_file_that_is_no_clip_is_rejected_with_code_and_sentence(tmp_path: Path, check: bool) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("not a clip")
    with facevitals.Analyzer(estimators=["pos"], raw=True) as analyzer:
        if not check:
            document = analyzer.analyze(text, check=False).document
            assert document.error is not None
            assert document.error.code is ErrorCode.CONTAINER_NOT_ALLOWED
            return
        with pytest.raises(facevitals.ClipRejected, match="neither MP4 nor WebM") as rejected:
            analyzer.analyze(text)
        assert rejected.value.code is ErrorCode.CONTAINER_NOT_ALLOWED
        again = pickle.loads(pickle.dumps(rejected.value))  # noqa: S301  (our own)
        assert (again.code, again.detail) == (rejected.value.code, rejected.value.detail)
        with pytest.raises(FileNotFoundError, match=r"gone\.mp4"):
            analyzer.analyze(tmp_path / "gone.mp4")


def test_both_branches_look_at_one_pulse(simulated: tuple[Path, Truth], monkeypatch: pytest.MonkeyPatch) -> None:
    examined: list[Traces] = []

    def counted(traces: Traces) -> Pulse:
        examined.append(traces)
        return estimate_pulse(traces)

    monkeypatch.setattr("workers.rppg.pipeline.estimate_pulse", counted)
    result = facevitals.analyze(simulated[0])
    assert result.vitals.heart_rate.status is VitalStatus.OK
    assert "pulse" in (result.document.checks.liveness.votes or {})
    assert len(examined) == 1


def test_unknown_names_are_value_errors_that_list_the_known_ones(simulated: tuple[Path, Truth]) -> None:
    with pytest.raises(ValueError, match="unknown vitals: pulse; known: heart_rate, "):
        facevitals.analyze(simulated[0], vitals=["pulse"])
    with pytest.raises(ValueError, match="no vital is named"):
        facevitals.analyze(simulated[0], vitals=[])
    with pytest.raises(ValueError, match="unknown estimators: fft; known: pos, "):
        facevitals.Analyzer(estimators=["fft"])
    with pytest.raises(ValueError, match="no estimator is named; known: pos, "):
        facevitals.Analyzer(estimators=[])


def test_estimators_are_named_for_a_raw_run_alone(simulated: tuple[Path, Truth]) -> None:
    message = r"whichever estimators are named \(pos\)"
    with pytest.raises(ValueError, match=message):
        facevitals.analyze(simulated[0], estimators=["pos"])
    with pytest.raises(ValueError, match="a raw run takes exactly one estimator"):
        facevitals.Analyzer(raw=True)
    command = [sys.executable, "-m", "facevitals", "analyze", str(simulated[0]), "--estimators", "pos"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2
    assert not done.stdout
    assert "whichever estimators are" in done.stderr
    assert "--raw" in done.stderr


def test_a_raw_run_reports_the_rate_of_one_estimator_as_experimental(simulated: tuple[Path, Truth]) -> None:
    result = facevitals.analyze(simulated[0], vitals=["heart_rate"], estimators=["pos"], raw=True)
    heart_rate = result.vitals.heart_rate
    assert heart_rate.value == pytest.approx(simulated[1].heart_rate, abs=2)
    assert (heart_rate.status, heart_rate.interval) == (VitalStatus.EXPERIMENTAL, None)
    assert result.waves.pulse is not None
    options = ["--vitals", "heart_rate", "--estimators", "pos", "--raw", "--json"]
    command = [sys.executable, "-m", "facevitals", "analyze", *options, str(simulated[0])]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert json.loads(done.stdout)["vitals"] == result.document.as_json()["vitals"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "gpu"}, "device must be one of auto, cpu, cuda, not 'gpu'"),
        ({"threads": 0}, "threads must be at least 1, not 0"),
    ],
)
def test_device_and_threads_that_do_not_exist_are_value_errors(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        facevitals.Analyzer(**options)


def test_a_models_folder_that_cannot_be_written_is_named_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "models"
    monkeypatch.setenv("FACEVITALS_MODELS_DIR", str(folder))
    with pytest.raises(OSError, match=rf"{folder}.*FACEVITALS_MODELS_DIR") as raised:
        facevitals.Analyzer()
    assert not isinstance(raised.value, FileNotFoundError)
    command = [sys.executable, "-m", "facevitals", "analyze", "clip.mp4"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert "FACEVITALS_MODELS_DIR" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_command_names_a_device_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this machine has CUDA")
    monkeypatch.setenv("FACEVITALS_DEVICE", "cuda")
    command = [sys.executable, "-m", "facevitals", "analyze", "clip.mp4"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert "CUDA" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_closed_analyzer_raises_instead_of_failing_the_clip(simulated: tuple[Path, Truth]) -> None:
    with facevitals.Analyzer(estimators=["pos"], raw=True) as analyzer:
        pass
    analyzer.close()
    for check in (True, False):
        with pytest.raises(RuntimeError, match="the analyzer is closed"):
            analyzer.analyze(simulated[0], check=check)


def test_threads_that_share_an_analyzer_take_turns(result: facevitals.Analysis, simulated: tuple[Path, Truth]) -> None:
    # In a process of its own: without turns the frames of two clips meet in one tracker, and the process dies or hangs.
    command = [sys.executable, "-c", SHARED, str(simulated[0])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout) == [result.vitals.heart_rate.value] * 3


def test_the_printed_truth_of_a_clip_is_short(simulated: tuple[Path, Truth]) -> None:
    assert "heart_rate=80" in repr(simulated[1])
    assert len(repr(simulated[1])) < 1500


def test_simulate_takes_every_condition_of_a_clip(tmp_path: Path) -> None:
    named = set(inspect.signature(facevitals.simulate).parameters) - {"path", "on_progress", "conditions"}
    assert named | Conditions.__annotations__.keys() == {field.name for field in fields(ClipSpec)}
    # Their types: mypy checks the call of ClipSpec.
    with pytest.raises(ValueError, match="heart_rate must be between 30 and 220"):
        facevitals.simulate(tmp_path / "clip.mp4", heart_rate=300)


def test_the_consumer_that_the_type_checker_reads_uses_every_name() -> None:
    text = CONSUMER.read_text()
    for name in facevitals.__all__:
        assert f"facevitals.{name}" in text, name
