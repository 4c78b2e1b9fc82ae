"""Failures during capture, upload and analysis, and what the page shows then."""

import contextlib
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route, expect
from playwright.sync_api import Error as PlaywrightError

from tests.browser import browser_session, service_fixtures
from tests.browser.manual_worker import HEART, MP4, Worker
from tests.browser.tcp_proxy import TcpProxy


def _submitted(session: browser_session.PageSession, gateway: service_fixtures.Service) -> Worker:
    session.upload("me.mp4", "video/mp4", MP4)
    return Worker(gateway.jobs, session.job_id())


def test_a_refused_camera_is_explained_and_an_upload_offered(
    browser: Browser, gateway: service_fixtures.Service
) -> None:
    with browser_session.page(browser, gateway.url, camera=False) as session:
        session.page.get_by_role("button", name="I agree, turn on the camera").click()
        session.screen("camera-trouble")
        expect(session.page.locator("[data-trouble=refused]")).to_be_visible()
        session.screenshot("camera-refused")
        session.page.context.grant_permissions(["camera"], origin=gateway.url)
        session.page.get_by_role("button", name="Try again").click()
        session.screen("capture")


@pytest.mark.parametrize(
    ("content", "status", "sentence"),
    [
        (MP4 + bytes(3_000_000), 413, "The video is too large for this server."),
        (b"not a video at all" * 100, 415, "This file is not a video that this server accepts."),
    ],
    ids=["too large", "not a video"],
)
def test_an_upload_that_is_refused_is_explained(
    browser: Browser, gateway: service_fixtures.Service, content: bytes, status: int, sentence: str
) -> None:
    with browser_session.page(browser, gateway.url) as session:
        session.upload("me.mp4", "video/mp4", content)
        session.screen("failure")
        expect(session.page.locator(f"[data-http='{status}']")).to_be_visible()
        expect(session.page.get_by_text(sentence)).to_be_visible()
        session.screenshot(f"upload-{status}")


def test_a_lost_camera_is_reported(browser: Browser, gateway: service_fixtures.Service) -> None:
    with browser_session.page(browser, gateway.url) as session:
        session.page.get_by_role("button", name="I agree, turn on the camera").click()
        expect(session.page.locator("[data-screen=capture] video")).to_have_js_property("readyState", 4)
        session.page.evaluate(
            "document.querySelector('video').srcObject.getVideoTracks()[0].dispatchEvent(new Event('ended'))"
        )
        expect(session.page.get_by_text("The camera was disconnected.")).to_be_visible()


def test_a_slow_upload_shows_its_progress(browser: Browser, gateway: service_fixtures.Service) -> None:
    with browser_session.page(browser, gateway.url) as session:
        line = session.page.context.new_cdp_session(session.page)
        speed = {"offline": False, "latency": 20, "downloadThroughput": -1, "uploadThroughput": 400_000}
        line.send("Network.emulateNetworkConditions", speed)
        session.upload("me.mp4", "video/mp4", MP4 + bytes(1_600_000))
        bar = session.page.get_by_role("progressbar", name="Sending the video")
        expect(bar).to_be_visible()
        values = set()
        while bar.is_visible():
            with contextlib.suppress(PlaywrightError):
                values.add(bar.evaluate("bar => bar.value", timeout=200))
        assert len([value for value in values if 0 < value < 100]) >= 2, values
        session.state("queued")


def test_without_workers_the_page_shows_reasons_and_no_numbers(
    browser: Browser, gateway: service_fixtures.Service
) -> None:
    with browser_session.page(browser, gateway.url) as session:
        session.upload("me.mp4", "video/mp4", MP4)
        session.state("queued")
        expect(session.page.get_by_text("No analyser has taken the video yet.")).to_be_visible(timeout=15_000)
        session.screenshot("worker-away")
        expect(session.page.locator("[data-screen=job][data-state=failed], [data-state=succeeded]")).to_be_visible(
            timeout=30_000
        )
        expect(session.page.get_by_text("did not answer in time").first).to_be_visible()
        assert not any(any(c.isdigit() for c in text) for text in session.page.locator(".value").all_inner_texts())
        session.screenshot("worker-away-end")


def test_each_vital_is_shown_as_soon_as_it_is_reported(browser: Browser, gateway: service_fixtures.Service) -> None:
    with browser_session.page(browser, gateway.url) as session:
        worker = _submitted(session, gateway)
        worker.begin()
        expect(session.page.locator("[data-branch=rppg][data-status=running]")).to_contain_text("reading the video")
        worker.report("heart_rate", HEART)
        expect(session.page.locator("[data-vital=heart_rate][data-status=ok] .value")).to_have_text("66")
        expect(session.page.locator("[data-vital=age][data-status=pending]")).to_be_visible()
        session.screenshot("arriving")
        worker.finish()
        session.state("succeeded")


def test_a_broken_connection_resumes_after_the_last_event(browser: Browser, gateway: service_fixtures.Service) -> None:
    with TcpProxy(gateway.port) as proxy, browser_session.page(browser, f"http://127.0.0.1:{proxy.port}") as session:
        resumed: list[str | None] = []
        session.page.on(
            "request",
            lambda request: (
                resumed.append(request.headers.get("last-event-id")) if request.url.endswith("/events") else None
            ),
        )
        worker = _submitted(session, gateway)
        worker.begin()
        expect(session.page.locator("[data-branch=rppg][data-status=running]")).to_be_visible()
        proxy.disconnect()
        expect(session.page.get_by_text("Connection lost. Trying again…")).to_be_visible(timeout=10_000)
        session.screenshot("connection-lost")
        worker.report("heart_rate", HEART)
        time.sleep(1)
        proxy.reconnect()
        expect(session.page.locator("[data-vital=heart_rate][data-status=ok] .value")).to_have_text(
            "66", timeout=15_000
        )
        expect(session.page.get_by_text("Connection lost")).to_have_count(0)
        worker.finish()
        session.state("succeeded")
        assert resumed[0] is None
        assert all(resumed[1:]), "every later stream resumed after the last event"


def test_without_events_the_page_polls(browser: Browser, gateway: service_fixtures.Service) -> None:
    def block(route: Route) -> None:
        route.abort("connectionfailed")

    with browser_session.page(browser, gateway.url) as session:
        session.page.route("**/events", block)
        worker = _submitted(session, gateway)
        expect(session.page.locator("[data-link=polling]")).to_be_visible(timeout=20_000)
        worker.begin()
        worker.finish()
        session.state("succeeded")
        assert session.page.locator("[data-vital=heart_rate] .value").inner_text() == "66"


def test_an_analysis_can_be_stopped_and_deleted(browser: Browser, gateway: service_fixtures.Service) -> None:
    with browser_session.page(browser, gateway.url) as session:
        _submitted(session, gateway).begin()
        job_id = session.job_id()
        session.page.get_by_role("button", name="Stop and delete").click()
        session.screen("erased")
        assert gateway.get(f"/v1/jobs/{job_id}").status_code == 404
        assert not [path for path in gateway.clips.rglob("*") if job_id in path.name]


def test_a_reload_shows_the_job_again_or_that_it_was_deleted(
    browser: Browser, gateway: service_fixtures.Service
) -> None:
    with browser_session.page(browser, gateway.url) as session:
        worker = _submitted(session, gateway)
        worker.begin()
        worker.finish()
        session.state("succeeded")
        session.page.reload()
        session.state("succeeded")
        gateway.jobs.records.delete(session.job_id())
        session.page.reload()
        session.screen("gone")
        session.screenshot("gone")


def test_a_gateway_with_keys_requires_one(browser: Browser, tmp_path: Path) -> None:
    with (
        service_fixtures.running_service(tmp_path, workers=0, api_keys="open-sesame") as locked,
        browser_session.page(browser, locked.url) as session,
    ):
        session.upload("me.mp4", "video/mp4", MP4)
        session.screen("failure")
        session.screenshot("key")
        session.page.get_by_label("Access key").fill("open-sesame")
        session.page.get_by_role("button", name="Use this key").click()
        session.state("queued")
