"""A person before the camera: real recording, upload, workers, result."""

import csv
import io
import json
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright, expect

from lab.simulate import ClipSpec, simulate
from tests.browser import films, sight, stacks

#: Phases as the page goes through them, kept by the page itself.
_KEEP_PHASES = """() => {
  window.phases = []
  new MutationObserver(() => {
    const phase = document.querySelector('[data-screen=capture]')?.dataset.phase
    if (phase && phase !== window.phases.at(-1)) window.phases.push(phase)
  }).observe(document.documentElement, { subtree: true, attributes: true, childList: true })
}"""

#: When, and how many of the film's frames the camera has shown by then.
_PLAYED = """() => {
  const [track] = document.querySelector('video').srcObject.getVideoTracks()
  return [performance.now() / 1000, track.stats.totalFrames]
}"""


def _agree(seen: sight.Sight) -> None:
    seen.page.evaluate(_KEEP_PHASES)
    seen.page.get_by_role("button", name="I agree, turn on the camera").click()


def _phase(seen: sight.Sight, phase: str, timeout_s: float) -> None:
    expect(seen.page.locator(f"[data-screen=capture][data-phase={phase}]")).to_be_visible(timeout=timeout_s * 1000)


def _phases(seen: sight.Sight) -> list[str]:
    phases: list[str] = seen.page.evaluate("window.phases")
    return phases


def test_a_person_sees_their_heart_rate(with_face: Browser, service: stacks.Service, living: films.Living) -> None:
    with sight.page(with_face, service.url) as seen:
        _agree(seen)
        _phase(seen, "recording", 30)
        begun, first = seen.page.evaluate(_PLAYED)
        seen.page.wait_for_timeout(6000)
        seen.shoot("recording")
        _phase(seen, "done", 40)
        ended, last = seen.page.evaluate(_PLAYED)
        assert [phase for phase in _phases(seen) if phase != "recovering"][:3] == ["searching", "settling", "recording"]
        seen.state("succeeded", 60)
        # A browser that is short of time plays the film more slowly, and the heart in it beats more slowly then.
        speed = (last - first) / (ended - begun) / 30
        shown = float(seen.page.locator("[data-vital=heart_rate] .value").inner_text())
        assert shown == pytest.approx(living.heart_rate * speed, abs=3)
        assert seen.page.locator("[data-vital]:not([data-status=pending])").count() == 8
        expect(seen.page.locator("[data-wave=heart_rate] canvas")).to_be_visible()
        expect(seen.page.locator("[data-spectrum=heart_rate] canvas")).to_be_visible()
        seen.shoot("result")

        clip = service.get(f"/v1/jobs/{seen.job_id()}").json()["clip"]
        assert 14.5 <= clip["duration_s"] <= 26
        assert clip["bytes"] * 8 / clip["duration_s"] >= 2.5e6, "the pulse is lost below 2.5 Mbit/s"
        assert not [path for path in service.clips.rglob("*") if path.is_file()], "the clip is gone from the server"


def test_the_result_can_be_taken_away_and_deleted(
    with_face: Browser, service: stacks.Service, living: films.Living, short_clip: bytes
) -> None:
    with sight.page(with_face, service.url) as seen:
        seen.upload("me.mp4", "video/mp4", short_clip)
        seen.state("succeeded", 60)
        saved = {}
        offered = {"Result (JSON)", "Waves (CSV)"}
        if service.get(f"/v1/jobs/{seen.job_id()}/fhir").is_success:
            offered.add("Health record (FHIR)")
        for name in sorted(offered):
            with seen.page.expect_download() as download:
                seen.page.get_by_role("button", name=name).click()
            saved[name] = download.value.path().read_text()
        job_id = seen.job_id()
        assert json.loads(saved["Result (JSON)"])["id"] == job_id
        if "Health record (FHIR)" in offered:
            assert json.loads(saved["Health record (FHIR)"])["resourceType"] == "Bundle"
        rows = list(csv.DictReader(io.StringIO(saved["Waves (CSV)"])))
        assert {row["wave"] for row in rows} >= {"heart_rate"}
        assert all(float(row["time_s"]) >= 0 for row in rows)

        seen.page.get_by_role("button", name="Delete now").click()
        seen.screen("erased")
        seen.shoot("erased")
        assert service.get(f"/v1/jobs/{job_id}").status_code == 404
        assert "#job" not in seen.page.url


def test_a_recording_goes_on_when_the_face_comes_back(
    playwright: Playwright, service: stacks.Service, living: films.Living, tmp_path: Path
) -> None:
    away = tmp_path / "away.mp4"
    simulate(away, ClipSpec(duration_s=1.6, kind="wall"))
    before, after = films.Scene(living.path, 0, 9), films.Scene(living.path, 10.6)
    film = films.camera_film(tmp_path / "film.mjpeg", before, films.Scene(away), after)
    with sight.browser(playwright, film) as running, sight.page(running, service.url) as seen:
        _agree(seen)
        _phase(seen, "recovering", 40)
        seen.screen("job", 40)
        phases = _phases(seen)
        assert phases[phases.index("recovering") :] == ["recovering", "recording", "done"]


def test_a_wall_is_not_recorded_unless_one_insists_and_has_no_vitals_then(
    playwright: Playwright, service: stacks.Service, tmp_path: Path
) -> None:
    wall = tmp_path / "wall.mp4"
    simulate(wall, ClipSpec(duration_s=10, kind="wall"))
    film = films.camera_film(tmp_path / "wall.mjpeg", films.Scene(wall))
    with sight.browser(playwright, film) as running, sight.page(running, service.url) as seen:
        seen.page.get_by_role("button", name="I agree, turn on the camera").click()
        expect(seen.page.get_by_role("status")).to_have_text("Bring your face into the ring.", timeout=10_000)
        insist = seen.page.get_by_role("button", name="Record anyway")
        expect(insist).to_be_visible(timeout=20_000)
        expect(seen.page.locator("[data-screen=capture][data-phase=searching]")).to_be_visible()
        seen.shoot("searching")
        insist.click()
        seen.state("succeeded", 60)
        seen.shoot("abstained")
        assert seen.page.locator("[data-vital] .value").all_inner_texts() == ["No reading"] * 8
        why = seen.page.locator("[data-vital=heart_rate] .why")
        expect(why).to_have_text("Could not tell: no face was found.")
