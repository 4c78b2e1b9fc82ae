"""The verdict: one model of few numbers that weighs what is seen at each rate, fitted by a command."""

import json
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest

from lab.calibrate import verdict as fitting
from lab.calibrate.verdict_table import Example, read
from tests.unit.pulse.conftest import MakeTraces, pulse_at
from workers.rppg.fusion.evidence import CURVES, RATES_PER_MIN, Evidence, of_measured
from workers.rppg.fusion.gate import MIN_LOG_ODDS
from workers.rppg.fusion.pulse import Pulse, estimate_pulse
from workers.rppg.fusion.verdict import MODEL
from workers.rppg.signals.traces import GRID_HZ


def made_evidence(rate_per_min: float | None, seed: int, strength: float = 3.0) -> Evidence:
    """Evidence with a line of every kind at a rate, or none."""
    rng = np.random.default_rng(seed)
    measured = rng.normal(-1.0, 0.7, (10, len(RATES_PER_MIN)))
    measured[-5:] = 0.0
    times = np.arange(450) / GRID_HZ
    wave = rng.normal(size=450)
    if rate_per_min is not None:
        measured[:5] += strength * np.exp(-0.5 * ((RATES_PER_MIN - rate_per_min) / 2) ** 2)
        wave += 3 * pulse_at(times, rate_per_min)
    return of_measured(measured, (wave - wave.mean()) / wave.std(), GRID_HZ)


def made_examples(count: int = 120) -> list[Example]:
    rng = np.random.default_rng(5)
    found = []
    for index in range(count):
        alive = index % 3 > 0
        rate = float(rng.uniform(50, 120)) if alive else float("nan")
        evidence = made_evidence(rate if alive else None, index, float(rng.uniform(0, 5)))
        renderer, stratum = ("warp", "head3d")[index // 20 % 2], "still" if alive else "doll"
        found.append(Example(f"clip{index}", renderer, f"person{index % 20}", stratum, alive, rate, True, evidence))
    return found


@pytest.fixture(name="pulse", scope="module")
def _pulse() -> Pulse:
    from tests.unit.pulse.conftest import make_track
    from workers.rppg.signals.traces import traces_of

    return estimate_pulse(traces_of(make_track()))


def test_probabilities_of_all_rates_and_of_none_sum_to_one(pulse: Pulse) -> None:
    verdict = pulse.verdict
    assert float(verdict.rates.sum()) + verdict.no_pulse == pytest.approx(1)
    assert verdict.probability > 0.9
    assert verdict.rate_per_min == pytest.approx(72, abs=0.5)
    assert verdict.second < 0.05
    assert abs(verdict.second_per_min - 72) > verdict.near_per_min


def test_each_curve_has_a_line_at_the_rate_of_a_pulse(pulse: Pulse) -> None:
    at = int(np.argmin(np.abs(RATES_PER_MIN - 72)))
    for name in ("chrominance", "regions", "patches", "harmonic"):
        curve = pulse.evidence.curve(name)
        assert curve[at] > np.percentile(curve, 90), name
    assert pulse.evidence.curves.shape == (len(CURVES), len(RATES_PER_MIN))


def test_noise_is_no_pulse(make_traces: MakeTraces) -> None:
    for seed in range(4):
        assert estimate_pulse(make_traces(strength=0.0, noise=0.004, seed=seed)).verdict.log_odds < MIN_LOG_ODDS


@pytest.mark.parametrize("duration_s", [6.0, 10.0, 15.0, 40.0])
def test_the_resolution_is_that_of_the_clips_length(make_traces: MakeTraces, duration_s: float) -> None:
    verdict = estimate_pulse(make_traces(duration_s=duration_s, noise=0.001)).verdict
    assert verdict.near_per_min == pytest.approx(max(3.0, 60 / duration_s), rel=0.01)
    assert verdict.rate_per_min == pytest.approx(72, abs=1)


def test_what_is_not_seen_is_replaced_by_the_whole_face(make_traces: MakeTraces) -> None:
    traces = make_traces()
    regions = traces.regions.copy()
    regions[1:] = np.nan
    hidden = estimate_pulse(replace(traces, regions=regions))
    assert hidden.verdict.rate_per_min == pytest.approx(72, abs=1)
    assert RATES_PER_MIN[np.argmax(hidden.evidence.curve("regions"))] == pytest.approx(72, abs=2)
    dark = estimate_pulse(replace(traces, crops=np.zeros_like(traces.crops))).evidence
    assert np.array_equal(dark.curve("patches"), dark.curve("chrominance"))


def test_the_fit_finds_what_separates_and_its_command_reports_it(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    examples = made_examples()
    model = fitting.fit(examples)
    assert min(model.weights[name] for name in ("chrominance", "regions", "patches", "harmonic")) > 0.1
    judged = fitting.left_out_by_people(examples)
    assert {id(one.example) for one in judged} == {id(example) for example in examples}
    found = fitting.with_probability(model, judged)
    sure = [one for one in judged if one.by(found).verdict.probability > 0.9]
    assert len(sure) > 20
    assert np.mean([one.wrong for one in sure]) < 0.1
    for renderer in ("warp", "head3d"):
        others = fitting.left_out_by_renderer(examples, renderer)
        assert {one.example.renderer for one in others} == {renderer}
    monkeypatch.setattr(fitting, "read", lambda: examples)
    assert fitting.main([]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["clips"] == len(examples)
    assert report["left out by people"]["clips, living"]["reported"] > 20
    assert report["left out by renderer"].keys() == {"warp", "head3d"}


def test_the_shipped_numbers_are_those_of_the_table_in_the_repository() -> None:
    """Few numbers, all of them renewed by one command from a table without pictures."""
    fitted = fitting.fit(read())
    for name in CURVES:
        assert MODEL.weights[name] == pytest.approx(fitted.weights[name], abs=0.02), name
    assert MODEL.no_pulse == pytest.approx(fitted.no_pulse, abs=0.02)
    document = json.loads((files("workers.rppg.fusion") / "calibration.json").read_text("utf-8"))
    assert len(document["verdict"]["weights"]) + 4 + len(document["interval"]) <= 20
    report = document["verdict_made_by"]["report"]["left out by people"]
    assert report["clips, lifeless"]["wrong"] == 0
    assert report["clips, living"]["reported"] > 0


def test_no_example_has_a_person_who_is_judged() -> None:
    from lab.world.conditions import is_judged

    assert not [example.portrait for example in read() if is_judged(example.portrait)]
