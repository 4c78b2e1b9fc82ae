"""Clips on which a wrong number was reported once: light on the person, nods, photographs, call software.

None of them may give a wrong number again. They are no evidence of accuracy: changes were made with
them in view.
"""

import json
from pathlib import Path

import pytest

from shared.schemas import VitalStatus
from workers.face.tracker import FaceTracker
from workers.media.clip import open_clip
from workers.rppg.network_sessions import RppgModels
from workers.rppg.pipeline import measure_rppg

CLIPS = Path(__file__).parents[4] / "shared" / "data" / "clips" / "hard"
#: Largest error of a heart rate and a respiration rate that is not wrong, /min.
LARGEST = {"heart_rate": 5.0, "respiration_rate": 4.0}
NAMES = (
    "call_software_dark",
    "face_monitor_light",
    "motion_49",
    "motion_nod51",
    "photo_blood_light",
    "photo_lamp_virtual_background",
    "talk",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_hard_clip_gives_no_wrong_number(name: str, models: RppgModels) -> None:
    truth_file = CLIPS / f"{name}.truth.json"
    if not truth_file.is_file():
        pytest.skip(f"{truth_file} is not here: development data is stored beside the checkout")
    truth = json.loads(truth_file.read_text("utf-8"))
    path = next(path for path in CLIPS.glob(f"{name}.*") if path.suffix in {".mp4", ".webm"})
    with open_clip(path) as clip:
        vitals = measure_rppg(FaceTracker().track(clip.frames()), models).vitals
    for vital, largest in LARGEST.items():
        found, true = vitals[vital], truth[f"{vital}_per_min"]
        if true is None:
            assert found.status is VitalStatus.ABSTAINED
        elif found.value is not None:
            assert found.value == pytest.approx(true, abs=largest)
