"""Clips of the world are rendered, measured and kept, and the bench reads what was kept."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lab.bench import rhythm, trust
from lab.bench.answers import answer
from lab.bench.risk import coverage_at, difference_of_areas, risk_area, upper_bound, winkler
from lab.data.example import Example
from lab.render import measured
from lab.render.__main__ import main as render
from lab.render.clip import write_clip
from lab.train.deepphys import kept_clips
from lab.world.conditions import draw
from lab.world.portraits import find_portraits

PEOPLE = find_portraits(None)


@pytest.fixture(name="rows", scope="module")
def _rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A living person by either renderer, and a picture, kept."""
    rows = tmp_path_factory.mktemp("rows")
    clips = tmp_path_factory.mktemp("clips")
    easy = replace(
        draw("still", 4, 0, PEOPLE),
        resolution="320x240",
        fps=20.0,
        duration_s=8.0,
        bitrate_bps=2e6,
        rhythm="sinus",
        heart_rate=72.0,
        light=1.0,
        person_light="none",
        face_share=0.5,
        pulse_strength=1.5,
        makeup=0.0,
        temporal_denoise=0.0,
    )
    for renderer, conditions in (("warp", easy), ("head3d", easy), ("warp", replace(easy, subject="photo", index=1))):
        clip = write_clip(clips, renderer, conditions, PEOPLE[0])
        measured.save(rows, *measured.measure(clip.path, clip.truth))
    return rows


def test_what_was_kept_is_what_was_measured(rows: Path) -> None:
    kept = [measured.load(file) for file in sorted(rows.glob("*.truth.json"))]
    assert len(kept) == 3
    for found in kept:
        assert found.traces is not None
        assert found.traces.head is not None
        assert found.waves["pos"].shape == found.traces.times_s.shape
        assert (found.rate_per_min is None) == (found.truth["conditions"]["subject"] == "photo")


def test_answers_are_those_of_the_product(rows: Path) -> None:
    answers = [answer(file) for file in sorted(rows.glob("*.truth.json"))]
    assert sum(found.alive for found in answers) == 2
    for found in answers:
        if not found.alive:
            assert found.reported is None
        assert not found.wrong
    assert any(found.reported is not None for found in answers)


def test_the_bench_counts_them(rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert trust.main([str(rows), "--out", str(tmp_path)]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["all"]["clips"] == 2
    assert summary["all"]["wrong"] == 0
    assert summary["lifeless all"] == {"clips": 1, "heart_rate": 0, "respiration_rate": 0}
    assert (tmp_path / "trust-strata.md").is_file()


def test_the_bench_of_rhythms_counts_them(rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rhythm.main([str(rows), "--out", str(tmp_path)]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["sinus"]["clips"] == 2
    assert summary["sinus"]["refused"] == 0
    assert summary["no pulse"] == {"clips": 1, "reported": 0, "refused": 0, "renamed": 0}


def test_a_recorded_heart_is_uneven_by_its_beats(rows: Path) -> None:
    found = measured.load(next(rows.glob("*.truth.json")))
    conditions = {**found.truth["conditions"], "rhythm": "contact", "subject": "live"}
    intervals = np.resize([0.6, 0.9], 30)
    for beats, group in ((np.cumsum(intervals), "contact, uneven"), (np.arange(0, 20, 0.8), "contact")):
        truth = {"conditions": conditions, "alive": True, "beat_times_s": beats.tolist()}
        assert rhythm.group_of(replace(found, truth=truth)) == group


def test_a_stratum_that_no_portrait_fits_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert render(["--strata", "dark", "--seed", "3", "--out", str(tmp_path)]) == 0
    assert "dark: left out" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_bounds_areas_and_scores() -> None:
    assert upper_bound(0, 600) == pytest.approx(0.00498, abs=1e-4)
    assert upper_bound(0, 0) == 1
    best, worst = np.array([4.0, 3, 2, 1]), np.array([1.0, 2, 3, 4])
    off = np.array([False, False, False, True])
    assert risk_area(best, off) < risk_area(np.zeros(4), off) < risk_area(worst, off)
    assert risk_area(np.zeros(4), off) == pytest.approx(0.25)
    difference, low, high = difference_of_areas(best, worst, off, off, ["a", "b", "c", "d"])
    assert low <= difference <= high
    assert difference < 0
    assert coverage_at(best, off, 0) == 0.75
    assert coverage_at(worst, off, 0) == 0
    # A width of 2, and a miss by 1 that costs 20.
    assert winkler(np.array([9.0, 9]), np.array([11.0, 11]), np.array([10.0, 12])) == pytest.approx(12)


def test_kept_clips_are_training_examples_of_the_pulse_that_they_show(
    rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_clips, "is_judged", lambda _portrait: False)
    training, validation = kept_clips.kept_examples(rows, None, tmp_path, held_out_every=2)
    assert (len(training), len(validation)) == (3, 0)
    examples = [Example.load(path) for path in training]
    assert [bool(found.bvp.any()) for found in examples] == [True, True, False]
    for found in examples:
        assert found.crops.shape == (len(found.bvp), 36, 36, 3)
    kept = measured.load(min(rows.glob("head3d*.truth.json")))
    assert kept.traces is not None
    wave = examples[0].bvp
    for beat in kept.truth["beat_times_s"]:
        # Blood rises fastest at a beat.
        near = np.abs(kept.traces.times_s - beat) < 0.3
        if near.sum() > 15:
            assert kept.traces.times_s[near][np.argmax(np.gradient(wave[near]))] == pytest.approx(beat, abs=0.1)
    monkeypatch.setattr(kept_clips, "is_judged", lambda _portrait: True)
    assert kept_clips.kept_examples(rows, None, tmp_path, held_out_every=2) == ([], [])
