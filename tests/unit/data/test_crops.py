"""Rendered crops for training."""

from pathlib import Path

import numpy as np

from lab.data.example import Example
from lab.train.deepphys import rendered_crops
from lab.train.deepphys.faces import drawn_face
from lab.train.deepphys.rendered_dataset import Series, plan_jobs
from workers.rppg.signals.filters import to_pulse_wave


def test_skin_is_darker_where_there_is_more_blood() -> None:
    agreement = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        example = rendered_crops.render(drawn_face(rng), 4.0, rng, None)
        assert example.crops.shape == (len(example.bvp), 72, 72, 3)
        if example.bvp.any():
            green = example.crops[:, 20:52, 20:52, 1].mean(axis=(1, 2)).astype(np.float64)
            waves = to_pulse_wave(np.stack([-green, example.bvp.astype(np.float64)]), 30.0)
            agreement.append(float(np.mean(waves[0] * waves[1])))
    # Some are dark, dim, shaken or badly encoded: that is what they are for.
    assert np.mean(agreement) > 0.2
    assert max(agreement) > 0.6


def test_the_same_seed_renders_the_same_crops() -> None:
    pair = []
    for _ in range(2):
        rng = np.random.default_rng(5)
        pair.append(rendered_crops.render(drawn_face(rng), 2.0, rng, None))
    assert np.array_equal(pair[0].crops, pair[1].crops)
    assert np.array_equal(pair[0].bvp, pair[1].bvp)


def test_training_and_validation_use_different_faces(tmp_path: Path) -> None:
    for index in range(30):
        (tmp_path / f"{index:02}.jpg").write_bytes(bytes([index]))
    series = Series(400, 1, portraits=tmp_path)
    learnt, held_out = (
        {job.source for job in plan_jobs(part, tmp_path) if isinstance(job.source, Path)}
        for part in (series, series.held_out(100))
    )
    assert learnt
    assert held_out
    assert not learnt & held_out


def test_a_saved_example_loads_unchanged(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    example = Example(rng.integers(0, 255, (5, 72, 72, 3), np.uint8), rng.normal(size=5).astype(np.float32))
    example.save(tmp_path / "example.npz")
    again = Example.load(tmp_path / "example.npz")
    assert np.array_equal(again.crops, example.crops)
    assert np.array_equal(again.bvp, example.bvp)
