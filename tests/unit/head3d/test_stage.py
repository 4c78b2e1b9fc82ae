"""Light at the sensor: skin pulsates, pictures don't, heads turn under their lights."""

import numpy as np
import pytest

from lab.arrays import Floats
from lab.head3d.lights import SPILL
from lab.head3d.motion import motion_of
from lab.head3d.skin import AC_DC
from tests.unit.head3d.shots import cheeks, light, shot


def change(course: Floats) -> Floats:
    """Peak-to-peak share (3,) of the mean of a course (n, 3)."""
    return np.asarray(np.ptp(course, axis=0) / course.mean(axis=0))


def line_hz(course: Floats, fps: float) -> float:
    power = np.abs(np.fft.rfft((course - course.mean()) * np.hanning(len(course)), 4096)) ** 2
    return float(np.fft.rfftfreq(4096, 1 / fps)[power.argmax()])


def pulsation(**changes: object) -> Floats:
    """Change (3,) of the logarithm of a cheek's light with the blood's volume, whose average beat is 1 high."""
    taken = shot(duration_s=6.0, respiration_rate=1e-3, **changes)
    assert taken.pulse is not None
    volume = taken.pulse.at(taken.times_s)
    logs = np.log(cheeks(*light(taken)))
    return np.asarray(-np.polyfit(volume - volume.mean(), logs, 1)[0])


def test_a_cheek_pulsates_as_strongly_as_its_skin_type_does() -> None:
    for skin_type, strength in ((2, 1.0), (2, 1.8), (6, 1.0)):
        found = pulsation(skin_type=skin_type, pulse_strength=strength, blood_red=0.4, blood_blue=0.7)
        assert found[1] == pytest.approx(AC_DC[skin_type - 1] * strength, rel=0.1)
        assert found[0] / found[1] == pytest.approx(0.4, rel=0.1)
        assert found[2] / found[1] == pytest.approx(0.7, rel=0.1)


def test_makeup_hides_its_share_of_the_pulse() -> None:
    assert pulsation(makeup=0.7)[1] / pulsation(makeup=0.0)[1] == pytest.approx(0.3, rel=0.1)


@pytest.mark.parametrize("subject", ["photo", "print"])
def test_a_picture_in_constant_light_does_not_change(subject: str) -> None:
    assert change(cheeks(*light(shot(subject=subject)))).max() < 1e-5


def test_a_doll_moves_and_has_no_pulse() -> None:
    taken = shot(subject="doll", sway=2.0, blink_rate=60.0, duration_s=4.0)
    assert taken.pulse is None
    motion = motion_of(taken)
    assert np.ptp(motion.pose, axis=0).min() > 0
    assert motion.lids.max() > 0.9
    assert change(cheeks(*light(shot(subject="doll", respiration_rate=1e-3)))).max() < 1e-3


def test_a_person_light_reaches_the_person_and_hardly_the_wall() -> None:
    lit = shot(subject="photo", person_light="lamp", person_light_share=0.4, person_light_depth=0.1, duration_s=3.0)
    stage, seen = light(lit)
    person = cheeks(stage, seen)
    wall = seen[:, :8, :8].mean(axis=(1, 2), dtype=np.float64)
    on_person, on_wall = (float((course.std(axis=0) / course.mean(axis=0))[1]) for course in (person, wall))
    assert on_person == pytest.approx(0.4 * 0.1, rel=0.3)
    assert 0 < on_wall < 2 * SPILL * on_person


def test_blood_coloured_light_changes_in_the_colours_of_the_blood() -> None:
    taken = shot(
        subject="photo", person_light="monitor", person_light_share=0.5, person_light_depth=0.05,
        person_light_tint="blood", blood_red=0.3, blood_blue=0.6, duration_s=3.0,
    )  # fmt: skip
    course = cheeks(*light(taken))
    share = course.std(axis=0) / course.mean(axis=0)
    assert share[0] / share[1] == pytest.approx(0.3, rel=0.1)
    assert share[2] / share[1] == pytest.approx(0.6, rel=0.1)


def test_a_nod_changes_the_brightness_at_its_rate() -> None:
    taken = shot(
        subject="doll", rhythmic_axis="pitch", rhythmic_hz=1.7, rhythmic_size=4.0, rhythmic_drift=0.0, duration_s=8.0,
        respiration_rate=1e-3,
    )  # fmt: skip
    stage, seen = light(taken)
    nod = cheeks(stage, seen)[:, 1]
    assert nod.std() / nod.mean() > 0.005
    assert line_hz(nod, 30.0) == pytest.approx(1.7, abs=0.1)


def test_motion_has_the_size_that_its_condition_states() -> None:
    sway = motion_of(shot(sway=1.0, duration_s=60.0, subject="print")).pose
    assert np.linalg.norm(np.degrees(sway[:, :3]).std(axis=0)) == pytest.approx(1.0, rel=0.1)
    assert np.linalg.norm(sway[:, 3:5].std(axis=0)) == pytest.approx(0.012, rel=0.1)
    nod = motion_of(shot(rhythmic_axis="yaw", rhythmic_size=3.0, duration_s=20.0, subject="print")).pose
    assert np.degrees(np.abs(nod[:, 1])).max() == pytest.approx(3.0, rel=0.4)


def test_blinks_close_the_eyes() -> None:
    taken = shot(subject="doll", blink_rate=60.0, duration_s=6.0, resolution="320x240")
    stage, seen = light(taken)
    lids = motion_of(taken).lids
    head, view = stage.head, stage.view
    x, y = (head.mesh[[33, 133]].mean(axis=0) * view.face_px + view.centre).round().astype(int)
    eye = seen[:, y - 2 : y + 3, x - 5 : x + 6, 1]
    spread = eye.std(axis=(1, 2)) / eye.mean(axis=(1, 2))
    # White, iris and pupil differ more than the skin of a lid.
    assert spread[lids > 0.95].mean() < 0.7 * spread[lids < 0.05].mean()


def test_a_mouth_that_talks_opens() -> None:
    taken = shot(subject="doll", talking=1.0, duration_s=3.0, resolution="320x240", respiration_rate=1e-3)
    stage, seen = light(taken)
    jaw = motion_of(taken).jaw
    head, view = stage.head, stage.view
    x, y = (head.mesh[14] * view.face_px + view.centre).round().astype(int)
    lip = seen[:, y : y + 4, x - 4 : x + 5, 1].mean(axis=(1, 2))
    assert np.corrcoef(jaw, lip)[0, 1] < -0.5


def test_an_unmoved_head_stands_where_its_landmarks_are() -> None:
    stage, seen = light(shot(duration_s=0.1, resolution="320x240"))
    head, view = stage.head, stage.view
    (nose_x, nose_y), (eye_x, eye_y) = np.round(head.mesh[[4, 468]] * view.face_px + view.centre).astype(int)
    assert seen[0, eye_y, eye_x, 1] < 0.6 * seen[0, nose_y, nose_x, 1]
