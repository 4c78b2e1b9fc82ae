"""Data sets in their published layouts become recordings with references on the clock of the clip."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lab.data.datasets import labelled_in
from lab.data.labelled import LabelledRecording, Person
from lab.data.recording import NoRecordings, RecordingUnreadable
from shared.clips.rejection import ClipRejected
from tests.unit.data.layouts import (
    Picture,
    write_listed,
    write_mcd,
    write_pure,
    write_simulated,
    write_table,
    write_ubfc,
    write_ubfc_first,
    write_ubfc_phys,
)
from workers.media.clip import ClipBudget, open_clip

SECONDS = 8.0
RATE = 84.0

#: By layout: what writes a small folder of it, and the recording that is expected.
WRITERS: dict[str, tuple[str, Callable[[Path, Picture], Path]]] = {
    "UBFC-rPPG, raw": ("UBFC-rPPG", lambda to, face: write_ubfc(to, 7, face, RATE, SECONDS, codec="rawvideo")),
    "UBFC-rPPG, Motion JPEG": ("UBFC-rPPG", lambda to, face: write_ubfc(to, 7, face, RATE, SECONDS, codec="mjpeg")),
    "UBFC-rPPG, DATASET_1": ("UBFC-rPPG", lambda to, face: write_ubfc_first(to, "5-gt", face, RATE, SECONDS)),
    "UBFC-Phys": ("UBFC-Phys", lambda to, face: write_ubfc_phys(to, 3, face, RATE, SECONDS)),
    "PURE": ("PURE", lambda to, face: write_pure(to, "03-02", face, RATE, SECONDS)),
    "MCD-rPPG": ("MCD-rPPG", lambda to, face: write_mcd(to, 1020, face, RATE, SECONDS)),
    "CSV": ("CSV", lambda to, face: write_listed(to, "anna", face, RATE, SECONDS)),
    "simulate": ("facevitals simulate", lambda to, face: write_simulated(to, "live-1", face, RATE, SECONDS)),
}
#: Subject, condition, person, and the other references that each has.
EXPECTED: dict[str, tuple[str, str | None, Person, dict[str, float]]] = {
    "UBFC-rPPG, raw": ("subject7", None, Person(), {}),
    "UBFC-rPPG, Motion JPEG": ("subject7", None, Person(), {}),
    "UBFC-rPPG, DATASET_1": ("5-gt", None, Person(), {"oxygen_saturation": 98.0}),
    "UBFC-Phys": ("s3", "rest", Person(gender="female"), {}),
    "PURE": ("03", "talking", Person(), {"oxygen_saturation": 97.0}),
    "MCD-rPPG": (
        "1020",
        "before, FullHDwebcam",
        Person(34.0, "female", 23.4),
        {"oxygen_saturation": 97.0, "respiration_rate": 16.0},
    ),
    "CSV": ("anna", "rest", Person(34.0), {}),
    "simulate": ("astronaut", None, Person(), {}),
}


def only(folder: Path) -> LabelledRecording:
    """The only recording of a folder."""
    _, (recording,) = labelled_in(folder)
    return recording


@pytest.mark.parametrize("layout", WRITERS)
def test_every_layout_gives_frames_and_references_on_one_clock(tmp_path: Path, astronaut: Picture, layout: str) -> None:
    name, write = WRITERS[layout]
    assert labelled_in(write(tmp_path, astronaut))[0] == name
    recording = only(tmp_path)
    subject, condition, person, others = EXPECTED[layout]
    assert (recording.subject, recording.condition, recording.person) == (subject, condition, person)
    frames = list(recording.frames())
    times = np.array([frame.time_s for frame in frames])
    assert times[0] == 0
    assert times[-1] == pytest.approx(SECONDS, abs=0.05)
    assert frames[0].rgb.shape == (240, 320, 3)
    references = recording.references()
    assert references["heart_rate"].between(0, SECONDS) == pytest.approx(RATE, abs=0.5)
    # Where there is more blood the skin is darker, so the clip itself agrees with the rate.
    green = np.array([frame.rgb[90:130, 140:180, 1].mean() for frame in frames])
    rates = np.arange(40, 181)
    power = [abs(((green - green.mean()) * np.exp(-2j * np.pi * times * rate / 60)).sum()) for rate in rates]
    assert rates[int(np.argmax(power))] == pytest.approx(RATE, abs=2)
    found = {vital: each.between(0, SECONDS) for vital, each in references.items() if vital != "heart_rate"}
    assert found == others


def test_a_broken_recording_fails_alone(tmp_path: Path, astronaut: Picture) -> None:
    for subject in (1, 2, 3):
        write_ubfc(tmp_path, subject, astronaut, 70.0, duration_s=1.2)
    (tmp_path / "subject1" / "ground_truth.txt").write_text("1 2 3\n")
    (tmp_path / "subject2" / "vid.avi").write_bytes(b"RIFF" + b"\0" * 100)
    (tmp_path / "subject3" / "ground_truth.txt").unlink()
    _, (first, second, third) = labelled_in(tmp_path)
    with pytest.raises(RecordingUnreadable, match="subject1/ground_truth"):
        first.references()
    assert len(list(first.frames())) == 36
    with pytest.raises(RecordingUnreadable, match=r"subject2/vid\.avi"):
        list(second.frames())
    with pytest.raises(RecordingUnreadable, match="subject3/ground_truth"):
        third.references()


def test_trusted_files_have_no_limits(tmp_path: Path, astronaut: Picture) -> None:
    write_ubfc(tmp_path, 1, astronaut, 70.0, duration_s=1.2)
    video = tmp_path / "subject1" / "vid.avi"
    # A chunk beside the pictures, as large as the index of a recording of hours.
    with video.open("ab") as file:
        file.write(b"JUNK" + (2_100_000).to_bytes(4, "little") + bytes(2_100_000))
    with pytest.raises(ClipRejected, match="more than 2 MB beside pictures"), open_clip(video) as clip:
        list(clip.frames())
    assert len(list(only(tmp_path).frames())) == 36
    budget = ClipBudget.unlimited()
    assert min(budget.bytes, budget.frames, budget.duration_s, budget.cpu_s) > 10**12
    assert budget.pixels > 100 * ClipBudget().pixels


def test_the_cameras_times_replace_those_of_the_container(tmp_path: Path, astronaut: Picture) -> None:
    recording = only(write_mcd(tmp_path, 1020, astronaut, 84.0, duration_s=2.0))
    assert [frame.time_s for frame in recording.frames()] == pytest.approx(np.arange(60) / 30, abs=1e-5)
    for path in tmp_path.glob("meta/*"):
        path.unlink()
    assert [frame.time_s for frame in recording.frames()] == pytest.approx(np.arange(60) / 25, abs=1e-5)


def test_without_a_wave_the_table_has_the_heart_rate(tmp_path: Path, astronaut: Picture) -> None:
    recording = only(write_mcd(tmp_path, 1020, astronaut, 84.0, duration_s=1.0))
    for path in tmp_path.glob("ppg_sync/*"):
        path.unlink()
    assert recording.references()["heart_rate"].between(0, 1) == 101


def test_spreadsheets_write_semicolons_and_decimal_commas(tmp_path: Path) -> None:
    rows = [
        {"File": "a,1.avi", "Heart rate": "61,5", "SpO2": "97", "Sex": "W", "Skin type": "IV", "BMI": "23,1"},
        {"File": "b.avi", "Heart rate": "", "SpO2": "", "Sex": "", "Skin type": "", "BMI": ""},
    ]
    _, (first, second) = labelled_in(write_table(tmp_path / "mine.csv", rows, between=";"))
    assert (first.name, first.subject) == ("a,1.avi", "a,1.avi")
    assert first.person == Person(None, "female", 23.1, 4)
    assert {vital: each.between(0, 15) for vital, each in first.references().items()} == {
        "heart_rate": 61.5,
        "oxygen_saturation": 97.0,
    }
    assert (second.person, second.references()) == (Person(), {})


def test_the_intervals_of_a_chest_strap_follow_the_heart(tmp_path: Path) -> None:
    # Ten seconds at 60 and then at 120 a minute; the strap began 2 s after the camera.
    (tmp_path / "rr.txt").write_text("time;RR-interval [ms]\n" + "x;1000\n" * 10 + "x;500\n" * 30)
    rows = [{"file": "a.avi", "rr_file": "rr.txt", "rr_start_s": "2"}]
    _, (recording,) = labelled_in(write_table(tmp_path / "mine.csv", rows))
    reference = recording.references()["heart_rate"]
    assert reference.between(1, 11) == pytest.approx(60)
    assert reference.between(13, 25) == pytest.approx(120)
    assert reference.between(22, 42) is None, "the strap recorded less than half of it"


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"heart_rate": "about 70"}, "line 2: heart_rate is 'about 70'"),
        ({"heart_rate": "70", "sex": "x"}, "line 2: 'x' is not a sex"),
        ({"heart_rate": "70", "skin_type": "7"}, "line 2: skin_type is '7'"),
    ],
)
def test_a_row_with_a_wrong_cell_fails_alone(tmp_path: Path, cells: dict[str, str], message: str) -> None:
    rows = [{"file": "a.avi", **cells}, {"file": "b.avi", **dict.fromkeys(cells, "")}]
    _, (wrong, right) = labelled_in(write_table(tmp_path / "mine.csv", rows))
    with pytest.raises(RecordingUnreadable, match=message):
        list(wrong.frames())
    assert right.references() == {}


def test_what_is_no_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoRecordings, match="UBFC-rPPG, PURE, and no CSV"):
        labelled_in(tmp_path)
    with pytest.raises(FileNotFoundError, match="away"):
        labelled_in(tmp_path / "away")
    with pytest.raises(NoRecordings, match="unknown columns: hart_rate"):
        labelled_in(write_table(tmp_path / "a.csv", [{"file": "a.avi", "hart rate": "70"}]))
    with pytest.raises(NoRecordings, match="same file more than once"):
        labelled_in(write_table(tmp_path / "a.csv", [{"file": "a.avi", "hr": "70"}, {"file": "a.avi", "hr": "71"}]))
    write_table(tmp_path / "b.csv", [{"file": "a.avi", "hr": "70"}])
    with pytest.raises(NoRecordings, match="more than one table"):
        labelled_in(tmp_path)


def test_unreadable_pictures_and_packages_are_named(tmp_path: Path, astronaut: Picture) -> None:
    write_pure(tmp_path, "01-01", astronaut, 70.0, duration_s=0.2)
    recording = only(tmp_path)
    first = min(tmp_path.rglob("*.png"))
    first.write_bytes(b"no picture")
    with pytest.raises(RecordingUnreadable, match=first.name):
        list(recording.frames())
    truth = tmp_path / "01-01" / "01-01.json"
    truth.write_text(json.dumps({"/Image": []}))
    with pytest.raises(RecordingUnreadable, match="FullPackage"):
        recording.references()
