"""BMI from a face: from a table of generated pictures to files that the workers load."""

import csv
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from skimage import data
from typer.testing import CliRunner

from facevitals.cli.app import app
from lab.train.bmi.evaluate import interval_90, report_of
from lab.train.bmi.face_pictures import varied
from lab.train.bmi.people import Face, class_of, read_table
from shared.schemas import Method, VitalStatus
from shared.settings import Settings
from workers.models.vit import vision_transformer
from workers.vision.attribute_models import VisionModels, VisionOptions
from workers.vision.bmi.vit_predictor import MIN_PEOPLE, trained_body_mass_index

#: Options of the head's training in the longest of these tests.
LONG = ("--rounds", "60", "--patience", "60", "--copies", "3", "--rate", "3e-3")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty people: one face, the redder the heavier, so that there is something to learn."""
    folder = tmp_path_factory.mktemp("faces")
    astronaut = np.asarray(data.astronaut(), np.uint8)[:300, 60:360]  # type: ignore[no-untyped-call]
    rng = np.random.default_rng(0)
    with (folder / "faces.csv").open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["file", "height_cm", "weight_kg", "gender", "person"])
        for number in range(60):
            bmi = float(rng.uniform(17, 42))
            red = astronaut * np.array([1.0, 1.0, 1.0]) + (bmi - 28) * np.array([4.0, 0.0, -4.0])
            picture = np.clip(red + rng.normal(0, 3, red.shape), 0, 255).astype(np.uint8)
            cv2.imwrite(str(folder / f"{number}.png"), picture[..., ::-1])
            height_m = float(rng.uniform(1.5, 1.95))
            weight_kg = bmi * height_m**2
            row = [f"{number}.png", f"{100 * height_m:.2f}", f"{weight_kg:.3f}", "fm"[number % 2], f"p{number}"]
            lines.writerow(row)
        cv2.imwrite(str(folder / "wall.png"), np.full((200, 200, 3), 128, np.uint8))
        lines.writerow(["wall.png", "170", "70", "", "wall"])
    return folder / "faces.csv"


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random ViT of 32 pixels, as torchvision would save one."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("backbone") / "tiny.pth"
    torch.save(vision_transformer().VisionTransformer(32, 8, 2, 4, 48, 96, num_classes=10).state_dict(), path)
    return path


def trained(table: Path, backbone: Path, out: Path, *how: str) -> dict[str, Any]:
    result = CliRunner().invoke(
        app,
        ["train", "bmi", "--data", str(table), "--images", str(table.parent), "--backbone", str(backbone),
         "--attention-heads", "4", "--out", str(out), "--device", "cpu", *how],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    answer: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return answer


def test_a_head_trains_on_a_frozen_backbone_and_workers_load_both(table: Path, backbone: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = trained(table, backbone, out, *LONG)
    figures = result["groups"]["all"]
    assert figures["mae"] < 0.7 * figures["constant_mae"]
    assert figures["pearson"] > 0.7
    assert {"female", "male"} <= set(result["groups"])
    card = json.loads((out / "bmi.json").read_text())
    assert (card["backbone"], card["side"], card["people"]) == ("tiny.pth", 32, figures["people"])
    assert card["interval_90"][0] < card["interval_90"][1]
    # The folder is a models folder as it stands.
    models = VisionModels.load(VisionOptions(out))
    assert models.weights["bmi"] == ("bmi.vit",)
    log = (out / "log.csv").read_text()
    assert log.startswith("round,loss,validation_mae")
    assert "obese" in (out / "train-bmi.md").read_text()
    assert trained(table, backbone, out, *LONG)["groups"] == result["groups"]
    assert (out / "log.csv").read_text() == log


def test_the_whole_network_trains_and_is_written(table: Path, backbone: Path, tmp_path: Path) -> None:
    result = trained(table, backbone, tmp_path, "--no-frozen", "--rounds", "2", "--batch", "8", "--side", "48")
    assert result["rounds"] == 2
    weights = torch.load(tmp_path / "bmi.pth", weights_only=True)
    before = torch.load(backbone, weights_only=True)
    assert not torch.equal(weights["conv_proj.weight"], before["conv_proj.weight"])
    assert [name for name in weights if name.startswith("heads.")][-1] == "heads.linear5.bias"
    card = json.loads((tmp_path / "bmi.json").read_text())
    assert (card["backbone"], card["side"]) == ("", 48)
    assert "bmi" in VisionModels.load(VisionOptions(tmp_path)).weights


def test_a_missing_backbone_is_not_downloaded(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facevitals.cli.train_bmi_command.settings", lambda: Settings(models_dir=tmp_path))
    result = CliRunner().invoke(app, ["train", "bmi", "--data", str(table), "--images", str(table.parent)])
    assert result.exit_code == 1
    assert "vit_h_14_swag-80465313.pth" in result.output.replace("\n", "")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"file": "none.png", "bmi": "25"}, "no picture"),
        ({"file": "a.png", "bmi": "twenty"}, "line 2"),
        ({"file": "a.png", "height_cm": "1.80", "weight_kg": "80"}, "units"),
        ({"bmi": "25"}, "columns"),
    ],
)
def test_an_error_in_a_table_names_its_line(tmp_path: Path, row: dict[str, str], message: str) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "t.csv").write_text(",".join(row) + "\n" + ",".join(row.values()) + "\n")
    with pytest.raises(ValueError, match=message):
        read_table(tmp_path / "t.csv", tmp_path)


def test_a_person_is_in_one_split_and_splits_have_their_shares() -> None:
    people = [Face(Path(f"{number}.png"), 25.0, f"p{number % 2000}") for number in range(4000)]
    assert len({(face.person, face.part) for face in people}) == 2000
    shares = {part: sum(face.part == part for face in people) / 4000 for part in ("train", "validation", "test")}
    assert shares["train"] == pytest.approx(0.7, abs=0.04)
    assert shares["test"] == pytest.approx(0.15, abs=0.03)


def test_varied_copies_keep_the_face_in_its_place() -> None:
    face = np.asarray(data.astronaut(), np.uint8)[20:212, 130:322]  # type: ignore[no-untyped-call]
    rng = np.random.default_rng(3)
    copies = [varied(face, rng) for _ in range(6)]
    assert all(copy.shape == face.shape and copy.dtype == np.uint8 for copy in copies)
    assert len({copy.tobytes() for copy in copies}) == 6
    grey = [copy.mean(axis=2).ravel() for copy in copies]
    same = [face.mean(axis=2), face[:, ::-1].mean(axis=2)]
    assert min(max(np.corrcoef(one, other.ravel())[0, 1] for other in same) for one in grey) > 0.6


def test_figures_are_exact_and_the_interval_holds_on_others() -> None:
    faces = [Face(Path("x"), bmi, f"{bmi}", "female") for bmi in (18.0, 24.0, 29.0, 35.0)]
    summary = report_of(np.array([20.0, 23.0, 30.0, 33.0], np.float32), faces, 26.0).summary
    assert summary["all"]["mae"] == 1.5
    assert summary["all"]["rmse"] == pytest.approx(1.581, abs=1e-3)
    assert summary["underweight"]["mae"] == 2.0
    assert summary["female"]["constant_mae"] == 5.5
    assert [class_of(bmi) for bmi in (18.4, 18.5, 25.0, 30.0)] == ["underweight", "normal", "overweight", "obese"]
    rng = np.random.default_rng(0)
    inside = []
    for _ in range(300):
        error = rng.normal(0, 4, 101).astype(np.float32)
        low, high = interval_90(np.zeros(100, np.float32), error[:100])
        inside.append(low <= error[100] <= high)
    assert 0.86 < float(np.mean(inside)) < 0.97


def test_weights_measured_on_few_people_stay_experimental(table: Path, backbone: Path, tmp_path: Path) -> None:
    trained(table, backbone, tmp_path, "--rounds", "1", "--copies", "1")
    network = VisionModels.load(VisionOptions(tmp_path)).networks["bmi.vit"]
    card = network.card  # type: ignore[attr-defined]
    assert card.people < MIN_PEOPLE
    vital = trained_body_mass_index(np.array([25.0], np.float32), card, Method(name="test", version="0"))
    assert vital.status is VitalStatus.EXPERIMENTAL
