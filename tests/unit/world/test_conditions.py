"""Conditions are drawn from the stated world, and hearts beat as they say."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lab.render.clip import frame_times
from lab.world.conditions import LIFELESS, LIVING, Conditions, draw, is_judged, is_ordinary, world
from lab.world.portraits import Portrait, find_portraits
from lab.world.pulse import pulse_of

PEOPLE = [Portrait(f"person{number}.jpg", 1 + number % 6, None) for number in range(60)]
BIDMC = Path(__file__).parents[4] / "shared" / "data" / "ppg" / "bidmc_01_26.npz"


def conditions(stratum: str = "still", index: int = 0, **changes: object) -> Conditions:
    return replace(draw(stratum, 3, index, PEOPLE), **changes)  # type: ignore[arg-type]


def test_the_same_draw_gives_the_same_conditions() -> None:
    assert draw("motion", 5, 7, PEOPLE) == draw("motion", 5, 7, PEOPLE)
    assert draw("motion", 5, 7, PEOPLE) != draw("motion", 5, 8, PEOPLE)
    assert draw("motion", 5, 7, PEOPLE) != draw("motion", 6, 7, PEOPLE)


def test_every_stratum_is_within_the_ranges_that_it_states() -> None:
    for stratum in (*LIVING, *LIFELESS, "rare"):
        for index in range(20):
            drawn = draw(stratum, 1, index, PEOPLE)
            assert drawn.alive == (stratum in (*LIVING, "rare"))
            for name, entry in {**world()["base"], **world()["strata"][stratum]}.items():
                if name == "skin_types":
                    assert drawn.skin_type in entry["value"]
                    continue
                value = getattr(drawn, name)
                low, high = entry.get("range", entry.get("uniform", entry.get("log_uniform", (None, None))))
                if low is not None:
                    assert low * (1 - 1e-9) <= value <= high * (1 + 1e-9), name
                else:
                    assert value == entry.get("value") or value in entry["choice"], name


def test_every_distribution_of_the_base_states_its_source() -> None:
    assert [name for name, entry in world()["base"].items() if not entry.get("source")] == []


def test_an_ordinary_clip_stops_being_one_by_any_condition() -> None:
    ordinary = next(found for index in range(99) if is_ordinary(found := draw("still", 2, index, PEOPLE)))
    for change in ({"talking": 1.0}, {"background": "virtual"}, {"light": 0.1}, {"fps": 10}, {"heart_rate": 40.0}):
        assert not is_ordinary(replace(ordinary, **change))


def test_the_people_that_nothing_is_fitted_on_are_about_half() -> None:
    share = np.mean([is_judged(f"fairface_{number:04d}.jpg") for number in range(400)])
    assert 0.4 < share < 0.6


@pytest.mark.parametrize("rhythm", ["sinus", "ramp", "ectopic", "fibrillation", "bigeminy"])
@pytest.mark.parametrize("rate", [32.0, 75.0, 180.0])
def test_a_synthetic_heart_beats_at_the_rate_that_was_drawn(rhythm: str, rate: float) -> None:
    pulse = pulse_of(conditions(rhythm=rhythm, heart_rate=rate), None)
    found = pulse.rate_per_min(0, 15)
    assert found == pytest.approx(rate, rel=0.2 if rhythm == "fibrillation" else 0.1)


def test_rhythms_are_as_irregular_as_their_names() -> None:
    def change(rhythm: str) -> float:
        intervals = np.diff(pulse_of(conditions(rhythm=rhythm, heart_rate=75.0, sdnn_ms=20.0), None).beats_s)
        return float(np.abs(np.diff(intervals)).mean() / intervals.mean())

    assert change("sinus") < 0.05
    assert change("fibrillation") > 0.15
    assert change("bigeminy") > 0.4


def test_an_early_beat_is_a_small_one() -> None:
    pulse = pulse_of(conditions(rhythm="bigeminy", heart_rate=70.0), None)
    heights = pulse.at(pulse.beats_s[2:-2])
    early = np.diff(pulse.beats_s)[1:-2] < 60 / 70
    assert heights[early].mean() < 0.8 * heights[~early].mean()


@pytest.mark.skipif(not BIDMC.exists(), reason="recorded pulses are not in the repository")
def test_a_recorded_heart_is_played_at_about_the_rate_that_was_drawn() -> None:
    for index in range(10):
        drawn = conditions("still", index, rhythm="contact", heart_rate=90.0)
        pulse = pulse_of(drawn, BIDMC)
        assert pulse.source.startswith("bidmc")
        rate = pulse.rate_per_min(0, 15)
        assert rate is not None
        grid = np.arange(0, 15, 0.02)
        wave = pulse.at(grid)
        power = np.abs(np.fft.rfft((wave - wave.mean()) * np.hanning(len(wave)), 1 << 14)) ** 2
        hz = np.fft.rfftfreq(1 << 14, 0.02)
        near = power[np.abs(hz - rate / 60) < 0.08].max()
        assert near > 0.15 * power[(hz > 0.4) & (hz < 4)].max()


def test_times_have_the_jitter_and_the_losses_of_the_conditions() -> None:
    even = frame_times(conditions(fps=30, jitter=0.0, dropped=0.0, duration_s=15.0), 90_000)
    assert len(even) == 450
    assert np.allclose(np.diff(even), 1 / 30, atol=1e-4)
    lossy = frame_times(conditions(fps=30, jitter=0.3, dropped=0.04, duration_s=15.0), 1_000)
    assert 415 < len(lossy) < 449
    assert (np.diff(lossy) > 0).all()
    assert np.diff(lossy).std() > 0.005


def test_without_a_folder_the_astronaut_is_the_only_portrait() -> None:
    (only,) = find_portraits(None)
    assert only.picture().shape == (512, 512, 3)
