"""`facevitals bench load`, small: many followers and many waiting jobs."""

from pathlib import Path

import pytest

from facevitals.bench.load import LoadPlan, measure_load


@pytest.mark.usefixtures("another_service_is_named")
def test_many_followers_jobs_and_processes_cost_little(tmp_path: Path) -> None:
    plan = LoadPlan(seconds=1, rounds=1, jobs=10, followers=80, waiting=1000, processes=[2], uploads=False, clips=20)
    summary = measure_load(plan, tmp_path).summary
    assert summary["followers_ended"] == 80
    assert summary["follower_kib"] < 200
    assert summary["enqueue_ratio"] < 2
    assert summary["waiting_kib"] < 20
    # Processor time that a branch takes beside its analysis; it does not depend on the load of the machine.
    assert summary["worker_scaling_branch_cpu_ms"] < 25
    cost = summary["cost"]
    assert 0 < cost["broker_s"] < 0.02
    assert 0 < cost["gateway_s"] < 0.1
    assert 10 < cost["kept_kib"] < 100
    assert [each["clips_per_hour"] for each in summary["machines"]] == [1, 1000, 1_000_000]
    assert summary["machines"][2]["worker_cores"] > 1000 * summary["machines"][1]["worker_cores"] * 0.99
