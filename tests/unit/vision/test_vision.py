"""Age and gender: intervals, probabilities and reasons."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from lab.bench.age_gender import PortraitLabels, fit_age, fit_gender
from lab.bench.vision import model_outputs
from shared.schemas import Check, CheckStatus, Method, Vital, VitalStatus
from shared.vitals import VITALS, Branch, Reason
from workers.branch.result import Progress
from workers.face.portraits import Portrait, measure_frontality
from workers.face.tracker import FaceTrack
from workers.models.installed import ModelState, look_up
from workers.models.manifest import MODELS
from workers.vision.age_gender.age import age, interval
from workers.vision.age_gender.agegender_predictor import predict
from workers.vision.age_gender.attribute_calibration import AGE_CALIBRATIONS, GENDER_CALIBRATIONS, AgeCalibration
from workers.vision.age_gender.gender import MIN_PROBABILITY, gender
from workers.vision.alignment import chips, similarity
from workers.vision.attribute_models import VisionModels, VisionOptions
from workers.vision.pipeline import measure_vision, select_portraits

VISION = {name for name, spec in VITALS.items() if spec.branch is Branch.VISION}
FACES = Path(__file__).parents[4] / "shared" / "data" / "faces"
METHOD = Method(name="test", version="0")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> VisionModels:
    return VisionModels.load(VisionOptions(tmp_path_factory.mktemp("models")))


def track_of(*portraits: Portrait, **checks: Check) -> FaceTrack:
    count = 30
    return FaceTrack(
        times_s=np.arange(count) / 30,
        landmarks=np.zeros((count, 478, 2), np.float32),
        regions=np.zeros((count, 4, 3), np.float32),
        background=np.zeros((count, 3), np.float32),
        crops=np.zeros((count, 72, 72, 3), np.uint8),
        faces=np.ones(count, np.int8),
        portraits=portraits,
        checks=checks,
        size=(640, 480),
    )


def failed(reason: Reason) -> Check:
    return Check(status=CheckStatus.FAIL, score=0.0, reason=reason, detail="Because.")


def test_age_and_gender_of_a_known_portrait_are_right(portrait: Portrait, models: VisionModels) -> None:
    """Eileen Collins was 42 when the picture was taken."""
    vitals = measure_vision(track_of(portrait), models).vitals
    assert set(vitals) == VISION
    assert vitals["gender"].value == "female"
    assert vitals["gender"].probability is not None
    assert vitals["gender"].probability >= MIN_PROBABILITY
    years = vitals["age"]
    assert years.status is VitalStatus.OK
    assert years.interval is not None
    assert years.interval[0] < 42 < years.interval[1]
    assert isinstance(years.value, float)
    assert years.interval[0] < years.value < years.interval[1]
    assert years.method is not None
    assert years.method.models == list(models.weights["age"])
    assert years.method.frames == 1


def test_progress_receives_each_vital(portrait: Portrait, models: VisionModels) -> None:
    received: dict[str, Vital] = {}

    class RecordingProgress(Progress):
        def vital(self, name: str, vital: Vital) -> None:
            received[name] = vital

    result = measure_vision(track_of(portrait), models, frozenset({"age"}), RecordingProgress())
    assert received == result.vitals
    assert received["gender"].reason is Reason.NOT_REQUESTED
    assert received["age"].status is VitalStatus.OK


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        ("face", Reason.NO_FACE),
        ("face", Reason.MULTIPLE_FACES),
        ("face", Reason.FACE_TOO_SMALL),
        ("obstruction", Reason.FACE_OBSTRUCTED),
    ],
)
def test_a_failed_check_is_the_vitals_reason(
    portrait: Portrait, models: VisionModels, check: str, reason: Reason
) -> None:
    vitals = measure_vision(track_of(portrait, **{check: failed(reason)}), models).vitals
    for name in ("age", "gender"):
        assert (vitals[name].status, vitals[name].reason) == (VitalStatus.ABSTAINED, reason)
        assert vitals[name].value is None


def test_without_a_portrait_vitals_abstain(models: VisionModels) -> None:
    vitals = measure_vision(track_of(), models).vitals
    assert {vitals[name].reason for name in ("age", "gender")} == {Reason.NO_FACE}


def test_a_missing_model_is_unavailable_with_an_instruction(portrait: Portrait) -> None:
    none = VisionModels({}, {}, {"age": "age.dlib is not installed; get it with: pip install …"})
    vitals = measure_vision(track_of(portrait), none, bmi_from_face=False).vitals
    for name in VISION:
        assert (vitals[name].status, vitals[name].reason) == (VitalStatus.UNAVAILABLE, Reason.MODEL_NOT_INSTALLED)
    assert "get it with" in (vitals["age"].detail or "")


def test_the_python_package_of_the_weights_is_not_imported(models: VisionModels) -> None:
    import sys

    assert "gender.dlib" in models.networks
    assert "age_and_gender" not in sys.modules
    assert "dlib" not in sys.modules


def test_altered_weights_are_not_loaded(tmp_path: Path) -> None:
    entry = next(entry for entry in MODELS if entry.name == "gender.dlib")
    (tmp_path / "models").mkdir()
    (tmp_path / entry.file).write_bytes(b"not a network")
    assert look_up(replace(entry, module=""), tmp_path).state is ModelState.ALTERED
    assert entry.open_licence


CALIBRATION = AGE_CALIBRATIONS["agegender"]


def test_ages_are_combined_by_median_or_maximum() -> None:
    ages = np.array([30, 31, 60, 29, 32], np.float32)
    assert age(ages, "median", CALIBRATION, METHOD).value == 31
    assert age(ages, "max", CALIBRATION, METHOD).value == 60


@pytest.mark.parametrize("calibration", AGE_CALIBRATIONS.values(), ids=AGE_CALIBRATIONS)
def test_the_interval_contains_the_estimate_and_no_negative_age(calibration: AgeCalibration) -> None:
    for years in np.linspace(0.25, 80, 200):
        low, high = interval(float(years), calibration)
        assert 0 <= low <= years <= high


@pytest.mark.parametrize("calibration", AGE_CALIBRATIONS.values(), ids=AGE_CALIBRATIONS)
def test_the_calibration_of_age_is_monotonic(calibration: AgeCalibration) -> None:
    years = calibration.years(np.linspace(-10, 120, 500).astype(np.float32))
    assert years.min() >= 0
    assert np.all(np.diff(years) >= 0)


def test_gender_abstains_at_a_low_probability() -> None:
    unsure = gender(np.array([1.0, -0.8, -0.1], np.float32), METHOD)
    assert (unsure.status, unsure.reason) == (VitalStatus.ABSTAINED, Reason.ESTIMATORS_DISAGREE)
    assert gender(np.array([6.0, 4.0], np.float32), METHOD).value == "male"
    assert gender(np.array([-6.0, -4.0], np.float32), METHOD).value == "female"


def test_without_agegendernet_dlibs_models_are_used(portrait: Portrait, models: VisionModels) -> None:
    fallback = replace(
        models,
        networks={name: network for name, network in models.networks.items() if name != "agegender"},
        weights={"gender": ("gender.dlib",)},
    )
    vitals = measure_vision(track_of(portrait), fallback).vitals
    assert vitals["gender"].value == "female"
    assert vitals["gender"].method is not None
    assert vitals["gender"].method.models == ["gender.dlib"]
    assert vitals["age"].status is VitalStatus.UNAVAILABLE
    assert ("gender.dlib",) in GENDER_CALIBRATIONS


def test_agegendernet_depends_little_on_the_number_of_portraits(portrait: Portrait, models: VisionModels) -> None:
    if "agegender" not in models.networks:
        pytest.skip("AgeGenderNet is not in this environment (facevitals models fetch agegender)")
    alone = predict([portrait], models.networks["agegender"])
    nine = predict([portrait] * 9, models.networks["agegender"])
    assert nine.shape == (9, 2)
    assert nine[:, 0].mean() == pytest.approx(alone[0, 0], abs=1.0)
    assert np.all(nine[:, 1] < 0)


def test_portraits_of_low_relative_quality_are_left_out(portrait: Portrait) -> None:
    blurred = replace(portrait, quality=0.2 * portrait.quality)
    assert select_portraits([blurred, portrait, portrait]) == (portrait, portrait)
    assert select_portraits([blurred]) == (blurred,)


def test_chips_are_invariant_to_scale_and_rotation(portrait: Portrait) -> None:
    height, width = portrait.rgb.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), 25, 0.8)
    tilted = replace(
        portrait,
        rgb=np.asarray(cv2.warpAffine(portrait.rgb, turn, (width, height)), np.uint8),
        landmarks=(portrait.landmarks @ turn[:, :2].T + turn[:, 2]).astype(np.float32),
    )
    large = replace(
        portrait,
        rgb=np.asarray(cv2.resize(portrait.rgb, (width * 3, height * 3)), np.uint8),
        landmarks=((portrait.landmarks + 0.5) * 3 - 0.5).astype(np.float32),
    )
    one, two, three = chips([portrait, tilted, large], 64).astype(float)
    assert np.abs(one - two).mean() < 8
    assert np.abs(one - three).mean() < 8


def test_a_similarity_transform_is_recovered() -> None:
    points = np.random.default_rng(0).normal(size=(5, 2))
    turned = 2.5 * points @ np.array([[0.6, -0.8], [0.8, 0.6]]).T + [3.0, -1.0]
    found = similarity(points, turned)
    assert points @ found[:, :2].T + found[:, 2] == pytest.approx(turned)


def test_a_turned_face_is_less_frontal(portrait: Portrait) -> None:
    nose = portrait.landmarks.copy()
    nose[1] += (nose[454] - nose[234]) * 0.2
    assert measure_frontality(nose) < 0.6 * measure_frontality(portrait.landmarks)


def test_accuracy_on_labelled_faces_is_as_documented(tmp_path: Path) -> None:
    if not (FACES / "labels.json").is_file():
        pytest.skip("development data (../shared/data/faces) is not here")
    labels = [
        label
        for label in json.loads((FACES / "labels.json").read_text())
        if int(label["age_band"][:2].strip("-+")) >= 20
    ]
    for label in labels[::3]:
        (tmp_path / label["file"]).symlink_to(FACES / label["file"])
    (tmp_path / "labels.json").write_text(json.dumps(labels[::3]))
    faces, missed = model_outputs(tmp_path)
    assert missed <= 3
    model = next(name for name in AGE_CALIBRATIONS if name in faces.ages)
    years = AGE_CALIBRATIONS[model].years(faces.ages[model].astype(np.float32)).astype(np.float64)
    assert float(faces.truth.off_band(years).mean()) < (3.5 if model == "agegender" else 8)
    models = next(names for names in GENDER_CALIBRATIONS if all(name in faces.log_odds for name in names))
    *weights, constant = GENDER_CALIBRATIONS[models]
    log_odds = np.stack([faces.log_odds[name] for name in models], axis=1) @ np.array(weights) + constant
    assert float(((log_odds > 0) == faces.truth.male).mean()) > 0.85
    held = [
        low <= high_ and low_ <= high
        for (low, high), low_, high_ in zip(
            (interval(float(own), AGE_CALIBRATIONS[model]) for own in years),
            faces.truth.low,
            faces.truth.high,
            strict=True,
        )
    ]
    assert np.mean(held) > 0.85


def test_the_fits_recover_known_parameters() -> None:
    rng = np.random.default_rng(0)
    low = 10.0 * rng.integers(2, 7, 400).astype(np.float64)
    male = rng.random(400) < 0.5
    people = low + 10 * rng.random(400)
    truth = PortraitLabels(low, low + 10, male)
    fitted = fit_age(10 + 0.6 * people + rng.normal(0, 2, 400), truth)
    found = fitted.years((10 + 0.6 * people).astype(np.float32))
    assert float(np.abs(found - people).mean()) < 2.5
    log_odds = np.where(male, 1.5, -1.5)[:, None] + rng.normal(0, 1, (400, 2))
    weights = fit_gender(log_odds, male)
    assert weights[0] == pytest.approx(weights[1], abs=0.4)
    assert weights[0] > 0.5
