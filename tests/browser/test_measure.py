"""A person before the camera: real recording, upload, workers, result."""

import csv
import io
import json
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright, expect

from lab.simulate import ClipSpec, simulate
from tests.browser import browser_session, fake_camera, service_fixtures

#: Records the phases that the page goes through.
_RECORD_PHASES = """() => {
  window.phases = []
  new MutationObserver(() => {
    const phase = document.querySelector('[data-screen=capture]')?.dataset.phase
    if (phase && phase !== window.phases.at(-1)) window.phases.push(phase)
  }).observe(document.documentElement, { subtree: true, attributes: true, childList: true })
}"""

#: The time, and how many frames the camera has shown until then.
_PLAYED = """() => {
  const [track] = document.querySelector('video').srcObject.getVideoTracks()
  return [performance.now() / 1000, track.stats.totalFrames]
}"""


def _agree(session: browser_session.PageSession) -> None:
    session.page.evaluate(_RECORD_PHASES)
    session.page.get_by_role("button", name="I agree, turn on the camera").click()


def _phase(session: browser_session.PageSession, phase: str, timeout_s: float) -> None:
    expect(session.page.locator(f"[data-screen=capture][data-phase={phase}]")).to_be_visible(timeout=timeout_s * 1000)


def _phases(session: browser_session.PageSession) -> list[str]:
    phases: list[str] = session.page.evaluate("window.phases")
    return phases


def test_a_person_sees_their_heart_rate(
    with_face: Browser, service: service_fixtures.Service, live_clip: fake_camera.LiveClip
) -> None:
    with browser_session.page(with_face, service.url) as session:
        _agree(session)
        _phase(session, "recording", 30)
        begun, first = session.page.evaluate(_PLAYED)
        session.page.wait_for_timeout(6000)
        session.screenshot("recording")
        _phase(session, "done", 40)
        ended, last = session.page.evaluate(_PLAYED)
        assert [phase for phase in _phases(session) if phase != "recovering"][:3] == [
            "searching",
            "settling",
            "recording",
        ]
        session.state("succeeded", 60)
        # A browser under load plays the video more slowly, so that the heart rate in it falls in proportion.
        speed = (last - first) / (ended - begun) / 30
        shown = float(session.page.locator("[data-vital=heart_rate] .value").inner_text())
        assert shown == pytest.approx(live_clip.heart_rate * speed, abs=3)
        assert session.page.locator("[data-vital]:not([data-status=pending])").count() == 8
        expect(session.page.locator("[data-wave=heart_rate] canvas")).to_be_visible()
        expect(session.page.locator("[data-spectrum=heart_rate] canvas")).to_be_visible()
        session.screenshot("result")

        clip = service.get(f"/v1/jobs/{session.job_id()}").json()["clip"]
        assert 14.5 <= clip["duration_s"] <= 26
        assert clip["bytes"] * 8 / clip["duration_s"] >= 2.5e6, "the pulse is lost below 2.5 Mbit/s"
        assert not [path for path in service.clips.rglob("*") if path.is_file()], "the clip is gone from the server"


def test_the_result_can_be_downloaded_and_deleted(
    with_face: Browser, service: service_fixtures.Service, live_clip: fake_camera.LiveClip, short_clip: bytes
) -> None:
    with browser_session.page(with_face, service.url) as session:
        session.upload("me.mp4", "video/mp4", short_clip)
        session.state("succeeded", 60)
        saved = {}
        offered = {"Result (JSON)", "Waves (CSV)"}
        if service.get(f"/v1/jobs/{session.job_id()}/fhir").is_success:
            offered.add("Health record (FHIR)")
        for name in sorted(offered):
            with session.page.expect_download() as download:
                session.page.get_by_role("button", name=name).click()
            saved[name] = download.value.path().read_text()
        job_id = session.job_id()
        assert json.loads(saved["Result (JSON)"])["id"] == job_id
        if "Health record (FHIR)" in offered:
            assert json.loads(saved["Health record (FHIR)"])["resourceType"] == "Bundle"
        rows = list(csv.DictReader(io.StringIO(saved["Waves (CSV)"])))
        assert {row["wave"] for row in rows} >= {"heart_rate"}
        assert all(float(row["time_s"]) >= 0 for row in rows)

        session.page.get_by_role("button", name="Delete now").click()
        session.screen("erased")
        session.screenshot("erased")
        assert service.get(f"/v1/jobs/{job_id}").status_code == 404
        assert "#job" not in session.page.url


def test_a_recording_resumes_when_the_face_returns(
    playwright: Playwright, service: service_fixtures.Service, live_clip: fake_camera.LiveClip, tmp_path: Path
) -> None:
    away = tmp_path / "away.mp4"
    simulate(away, ClipSpec(duration_s=1.6, kind="wall"))
    before, after = fake_camera.Segment(live_clip.path, 0, 9), fake_camera.Segment(live_clip.path, 10.6)
    video = fake_camera.camera_video(tmp_path / "video.mjpeg", before, fake_camera.Segment(away), after)
    with browser_session.browser(playwright, video) as running, browser_session.page(running, service.url) as session:
        _agree(session)
        _phase(session, "recovering", 40)
        session.screen("job", 40)
        phases = _phases(session)
        assert phases[phases.index("recovering") :] == ["recovering", "recording", "done"]


def test_a_wall_is_recorded_only_on_request_and_has_no_vitals(
    playwright: Playwright, service: service_fixtures.Service, tmp_path: Path
) -> None:
    wall = tmp_path / "wall.mp4"
    simulate(wall, ClipSpec(duration_s=10, kind="wall"))
    video = fake_camera.camera_video(tmp_path / "wall.mjpeg", fake_camera.Segment(wall))
    with browser_session.browser(playwright, video) as running, browser_session.page(running, service.url) as session:
        session.page.get_by_role("button", name="I agree, turn on the camera").click()
        expect(session.page.get_by_role("status")).to_have_text("Bring your face into the ring.", timeout=10_000)
        record_anyway = session.page.get_by_role("button", name="Record anyway")
        expect(record_anyway).to_be_visible(timeout=20_000)
        expect(session.page.locator("[data-screen=capture][data-phase=searching]")).to_be_visible()
        session.screenshot("searching")
        record_anyway.click()
        session.state("succeeded", 60)
        session.screenshot("abstained")
        assert session.page.locator("[data-vital] .value").all_inner_texts() == ["No reading"] * 8
        why = session.page.locator("[data-vital=heart_rate] .why")
        expect(why).to_have_text("Could not tell: no face was found.")
