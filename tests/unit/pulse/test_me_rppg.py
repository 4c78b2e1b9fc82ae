"""ME-rPPG: its graphs equal the recurrences, state passes from window to window, and it runs only by name."""

from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from lab.simulate import ClipSpec, simulate
from tests.unit.pulse.me_rppg_reference import by_moving_averages, over_a_window, wave_of
from workers.face.tracker import FaceTracker
from workers.media.clip import open_clip
from workers.models.build import model_file, write_atomically
from workers.models.installed import ModelState, look_up
from workers.models.manifest import MODELS
from workers.models.me_rppg_network import stepwise_graph_of
from workers.models.me_rppg_weights import read_weights
from workers.models.session import Network, open_network
from workers.rppg.estimators import ESTIMATORS, whole_face_wave
from workers.rppg.estimators.me_rppg import WINDOW, estimate, inputs_of
from workers.rppg.network_sessions import RppgModels
from workers.rppg.signals.filters import to_pulse_wave
from workers.rppg.signals.spectrum import spectrum_of
from workers.rppg.signals.traces import Traces, traces_of

SPEC: Final = next(spec for spec in ESTIMATORS if spec.name == "me_rppg")
RLAP, DEMO = (next(entry for entry in MODELS if entry.name == name) for name in SPEC.weights)

Floats = NDArray[np.float32]


def installed(name: str) -> Path:
    entry = next(entry for entry in MODELS if entry.name == name)
    path = entry.file_in(Path())
    if path is None:
        pytest.skip(f"{name} is not installed: {entry.command}")
    return path


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    installed(RLAP.name)
    return open_network(model_file(RLAP.name, tmp_path_factory.mktemp("models")), threads=1)


def stepwise(weights: Path, folder: Path) -> Network:
    path = folder / "stepwise.onnx"
    write_atomically(path, stepwise_graph_of(weights))
    return open_network(path, threads=1)


def pulsating(frames: int) -> Floats:
    """A noisy picture (t, 3, 36, 36) that darkens and brightens as a whole."""
    rng = np.random.default_rng(3)
    picture = 0.25 + 0.5 * rng.random((1, 3, 36, 36))
    pulse = 0.02 * np.sin(np.arange(frames) / 4)[:, None, None, None]
    return (picture + pulse + 0.02 * rng.standard_normal((frames, 3, 36, 36))).astype(np.float32)


def irregular(frames: int) -> Floats:
    return (np.random.default_rng(4).uniform(1, 1.5, frames) / 30).astype(np.float32)


def in_parts(network: Network, inputs: list[Floats], length: int) -> Floats:
    """The wave of consecutive calls, each given `length` frames and the state that the call before it returned."""
    state = np.zeros(int(network.shapes[-1][0]), np.float32)
    waves = []
    for start in range(0, len(inputs[0]), length):
        given = [values[start : start + length] for values in inputs]
        wave, state = np.split(network(*given, state), [len(given[0])])
        waves.append(wave)
    return np.concatenate(waves)


def test_windows_that_pass_their_state_on_equal_the_recurrence_over_the_clip(network: Network) -> None:
    frames = pulsating(60)

    def in_windows(maps: NDArray[np.float64], epsilon: float) -> NDArray[np.float64]:
        return np.concatenate([over_a_window(part, epsilon) for part in np.split(maps, 3)])

    expected = wave_of(frames.astype(np.float64), read_weights(installed(RLAP.name)), in_windows)
    assert expected.std() > 0.1
    assert in_parts(network, [frames], 20) == pytest.approx(expected, abs=2e-5)
    assert np.abs(in_parts(network, [frames], 60) - expected).max() > 0.1


def test_the_causal_network_in_chunks_equals_frame_by_frame(tmp_path: Path) -> None:
    causal = stepwise(installed(RLAP.name), tmp_path)
    frames, dt = pulsating(48), irregular(48)
    single = in_parts(causal, [frames, dt], 1)
    assert single.std() > 0.1
    for length in (5, 16, 48):
        assert in_parts(causal, [frames, dt], length) == pytest.approx(single, abs=1e-4)


def test_the_causal_network_equals_its_recurrences(tmp_path: Path) -> None:
    weights = installed(RLAP.name)
    frames, dt = pulsating(24), irregular(24)
    expected = wave_of(frames.astype(np.float64), read_weights(weights), by_moving_averages(dt.astype(np.float64)))
    # From an empty state the first averages lose digits in single precision.
    assert in_parts(stepwise(weights, tmp_path), [frames, dt], 8) == pytest.approx(expected, abs=2e-3)


def test_the_causal_network_equals_that_of_its_authors(tmp_path: Path) -> None:
    """One frame and all states at a time, as their demonstration runs it."""
    weights = installed(DEMO.name)
    authors = onnxruntime.InferenceSession(str(weights))
    names = [given.name for given in authors.get_inputs()]
    feeds = {given.name: np.zeros(given.shape, np.float32) for given in authors.get_inputs()}
    frames, dt = pulsating(48), irregular(48)
    expected = []
    for frame, seconds in zip(frames, dt, strict=True):
        feeds |= {names[0]: frame.transpose(1, 2, 0)[None, None], names[-1]: np.array(seconds)}
        wave, *states = authors.run(None, feeds)
        feeds |= dict(zip(names[1:-1], states, strict=True))
        expected.append(wave.item())
    assert in_parts(stepwise(weights, tmp_path), [frames, dt], 16) == pytest.approx(expected, abs=1e-3)


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="in_proj"):
        stepwise_graph_of(installed("tscan.rlap"))
    other = model_file("tscan.rlap", tmp_path)
    with pytest.raises(KeyError, match="no weights of ME-rPPG"):
        stepwise_graph_of(other)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> tuple[Traces, NDArray[np.float64], float]:
    """Traces of a simulated clip of 8 s, its blood volume on their grid, and its rate."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    truth = simulate(path, ClipSpec(heart_rate=84, duration_s=8, width=320, height=240, seed=5))
    with open_clip(path) as opened:
        traces = traces_of(FaceTracker().track(opened.frames()))
    assert truth.heart_rate is not None
    return traces, np.interp(traces.times_s, truth.frame_times_s, truth.bvp), truth.heart_rate


def test_it_finds_the_pulse_of_a_simulated_clip(
    network: Network, clip: tuple[Traces, NDArray[np.float64], float]
) -> None:
    traces, blood, rate = clip
    wave = whole_face_wave(estimate(traces, network))
    assert wave.shape == (len(traces.crops),)
    assert 60 * spectrum_of(wave, traces.fs).peak_hz() == pytest.approx(rate, abs=2)
    assert np.mean(wave * to_pulse_wave(blood, traces.fs)) > 0.6


@pytest.mark.parametrize("frames", [2, WINDOW // 2, WINDOW + 10])
def test_a_clip_of_any_length_has_a_wave_of_its_length(
    network: Network, frames: int, clip: tuple[Traces, object]
) -> None:
    traces = clip[0].part(0, frames)
    wave = estimate(traces, network)
    assert wave.shape == (len(traces.crops),)
    assert np.isfinite(wave).all()


def test_crops_in_fractions_of_a_pixel_give_the_same_input() -> None:
    crops = np.random.default_rng(0).integers(0, 256, (3, 72, 72, 3), dtype=np.uint8)
    frames = inputs_of(crops)
    assert frames.shape == (3, 3, 36, 36)
    assert 0 <= frames.min() < frames.max() <= 1
    assert inputs_of(crops.astype(np.uint16) * 256) == pytest.approx(frames, abs=1 / 255)


def test_it_runs_only_if_it_is_named() -> None:
    assert not SPEC.default


def test_open_models_only_keeps_the_weights_of_its_authors_alone(tmp_path: Path) -> None:
    assert look_up(RLAP, tmp_path, open_only=True).state is ModelState.EXCLUDED
    assert look_up(DEMO, tmp_path, open_only=True).state is not ModelState.EXCLUDED
    models = RppgModels.load(tmp_path, open_only=True, only=frozenset({SPEC.name}))
    if look_up(DEMO, tmp_path).state is ModelState.INSTALLED:
        assert models.weights == {SPEC.name: DEMO.name}
    else:
        assert "licence" in models.left_out[SPEC.name]
