"""`facevitals bench load`, small: many clients that follow, and many jobs that wait."""

from pathlib import Path

from facevitals.load import LoadPlan, measure_load


def test_followers_hear_their_jobs_and_a_long_queue_does_not_slow_the_next_job(tmp_path: Path) -> None:
    plan = LoadPlan(seconds=1, rounds=1, jobs=10, followers=80, waiting=1000, processes=[], uploads=False, clips=0)
    summary = measure_load(plan, tmp_path).summary
    assert summary["followers_ended"] == 80
    assert summary["follower_kib"] < 200
    assert summary["enqueue_ratio"] < 2
    assert summary["waiting_kib"] < 20
