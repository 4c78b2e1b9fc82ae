"""Real clips, where they lie beside the checkout: what is known of them is what is told."""

from pathlib import Path

import pytest

from shared.schemas import VitalStatus
from workers.clip import open_clip
from workers.face import FaceTracker
from workers.rppg.branch import measure_rppg
from workers.rppg.models import RppgModels

CLIPS = Path(__file__).parents[4] / "shared" / "data" / "clips"


@pytest.mark.parametrize(
    ("name", "rate"),
    [
        ("evm_face.mp4", 53.0),
        ("evm_face2.mp4", 53.5),
        # Its keyframes beat at 59.07 /min and jump by 0.6 % in one frame; POS and GREEN that are not told of them read
        # 59.3 and 59.8. Without the jump most estimators read 75. Neither is known to be the heart's.
        ("naber.mp4", None),
    ],
)
def test_a_real_clip_reads_what_is_known_of_it_or_nothing(name: str, rate: float | None, models: RppgModels) -> None:
    path = CLIPS / name
    if not path.is_file():
        pytest.skip(f"{path} is not here: development data lies beside the checkout, and nowhere else")
    with open_clip(path) as clip:
        track = FaceTracker().track(clip.frames())
    vital = measure_rppg(track, models).vitals["heart_rate"]
    if name == "evm_face.mp4":
        assert vital.status is VitalStatus.OK
    if rate is None:
        assert vital.status is VitalStatus.ABSTAINED
    elif vital.value is not None:
        assert vital.value == pytest.approx(rate, abs=2)
