"""Datasets in their published layouts become recordings on the clock of the clip."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lab.data.example import Example
from lab.data.prepared import load, prepared, recordings_in, subjects
from lab.data.recording import NoRecordings, Recording, RecordingUnreadable
from tests.unit.data.layouts import pulse_at, write_pure, write_simulated, write_ubfc
from workers.face.tracker import FaceTracker
from workers.media.clip import Frame
from workers.rppg.signals.traces import traces_of

Picture = NDArray[np.uint8]
WRITERS: dict[str, Callable[..., Path]] = {
    "ubfc": lambda folder, face, rate: write_ubfc(folder, 7, face, rate, duration_s=3.0),
    "pure": lambda folder, face, rate: write_pure(folder, "03-01", face, rate),
    "simulated": lambda folder, face, rate: write_simulated(folder, "live-1", face, rate),
}


@pytest.mark.parametrize("layout", WRITERS)
def test_frames_and_reference_pulse_share_a_clock(tmp_path: Path, astronaut: Picture, layout: str) -> None:
    (recording,) = recordings_in(WRITERS[layout](tmp_path, astronaut, 84.0))
    frames = list(recording.frames())
    assert [frame.time_s for frame in frames] == pytest.approx([index / 30 for index in range(len(frames))], abs=1e-3)
    assert frames[0].rgb.shape == (240, 320, 3)
    times = np.array([frame.time_s for frame in frames])
    wave = np.interp(times, recording.bvp_times_s, recording.bvp)
    assert np.corrcoef(wave, pulse_at(times, 84.0))[0, 1] > 0.99
    # Where there is more blood the skin is darker, so the clip itself agrees.
    green = np.array([frame.rgb[90:130, 140:180, 1].mean() for frame in frames])
    assert np.corrcoef(-green, wave)[0, 1] > 0.8
    assert len(list(recording.frames())) == len(frames), "a recording can be read again"


def test_subjects_are_named_by_their_recordings(tmp_path: Path, astronaut: Picture) -> None:
    for name in ("01-01", "01-02", "02-01"):
        write_pure(tmp_path, name, astronaut, 70.0, duration_s=0.2)
    found = recordings_in(tmp_path)
    assert [(recording.name, recording.subject) for recording in found] == [
        ("01-01", "01"), ("01-02", "01"), ("02-01", "02"),
    ]  # fmt: skip
    chosen, kept_out = subjects(found, 2)
    assert {recording.subject for recording in chosen} == {"01"}
    assert {recording.subject for recording in kept_out} == {"02"}
    assert subjects(found, 5) == subjects(found, 2), "of fewer than five the last"
    assert subjects(found[:2], 5) == (found[:2], []), "a single one is used for training"


def test_an_error_names_the_truth_file_with_another_layout(tmp_path: Path, astronaut: Picture) -> None:
    write_ubfc(tmp_path / "ubfc", 1, astronaut, 70.0, duration_s=0.2)
    truth = tmp_path / "ubfc" / "subject1" / "ground_truth.txt"
    truth.write_text("1 2 3\n")
    with pytest.raises(RecordingUnreadable, match="ground_truth"):
        recordings_in(tmp_path / "ubfc")
    write_pure(tmp_path / "pure", "01-01", astronaut, 70.0, duration_s=0.2)
    truth = tmp_path / "pure" / "01-01" / "01-01.json"
    truth.write_text(json.dumps({"/Image": []}))
    with pytest.raises(RecordingUnreadable, match="FullPackage"):
        recordings_in(tmp_path / "pure")


def test_an_unknown_layout_is_refused_and_known_ones_are_named(tmp_path: Path) -> None:
    with pytest.raises(NoRecordings, match="UBFC-rPPG, PURE"):
        recordings_in(tmp_path)


def test_training_uses_the_crops_of_the_workers(tmp_path: Path, astronaut: Picture, tracker: FaceTracker) -> None:
    (recording,) = recordings_in(write_ubfc(tmp_path / "data", 1, astronaut, 84.0, duration_s=2.0))
    path = prepared(recording, tmp_path / "cache", tracker)
    held, seen = load(path), traces_of(tracker.track(recording.frames()))
    assert np.array_equal(held.traces.crops, seen.crops[: len(held.bvp)])
    assert np.array_equal(held.traces.regions, seen.regions[..., : len(held.bvp)], equal_nan=True)
    assert np.corrcoef(held.bvp, pulse_at(held.traces.times_s, 84.0))[0, 1] > 0.99
    example = Example.load(path)
    assert np.array_equal(example.crops, held.traces.crops)


def test_a_recording_is_prepared_again_only_when_it_changed(
    tmp_path: Path, astronaut: Picture, tracker: FaceTracker
) -> None:
    folder = write_ubfc(tmp_path / "data", 1, astronaut, 84.0, duration_s=1.0)
    read = 0

    def counted(recording: Recording) -> Path:
        def frames() -> Iterator[Frame]:
            nonlocal read
            read += 1
            return recording.frames()

        again = replace(recording, frames=frames)
        return prepared(again, tmp_path / "cache", tracker)

    (recording,) = recordings_in(folder)
    first = counted(recording)
    assert counted(recording) == first
    assert read == 1
    truth = folder / "subject1" / "ground_truth.txt"
    truth.write_text(truth.read_text().replace("84", "85", 1).replace("8.4", "8.5", 1))
    (changed,) = recordings_in(folder)
    assert counted(changed) != first
    assert read == 2
