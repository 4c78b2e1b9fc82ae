"""`facevitals bench chaos`, small; `make test-chaos` is larger."""

from pathlib import Path

from facevitals.chaos import chaos


def test_what_was_accepted_ends_once_whatever_dies(tmp_path: Path) -> None:
    said: list[str] = []
    summary = chaos(tmp_path / "service", 16, 3, every_s=0.8, job_deadline_s=20, log=said.append)
    story = "\n".join(said)
    assert summary["jobs"] == summary["documents"] == 16, story
    for nothing in ("lost", "doubled", "foreign", "clips_left", "keys_without_ttl"):
        assert summary[nothing] == 0, f"{nothing}\n{story}"
    assert summary["most_tries"] <= summary["tries_allowed"]
    assert len(summary["blows"]) >= 4, story
