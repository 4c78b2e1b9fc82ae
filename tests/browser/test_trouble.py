"""What may go wrong on the way, and what the page says of it."""

import contextlib
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route, expect
from playwright.sync_api import Error as PlaywrightError

from tests.browser import sight, stacks
from tests.browser.cable import Cable
from tests.browser.workbench import HEART, MP4, Worker


def _submitted(seen: sight.Sight, gateway: stacks.Service) -> Worker:
    seen.upload("me.mp4", "video/mp4", MP4)
    return Worker(gateway.records, seen.job_id())


def test_a_refused_camera_is_explained_and_an_upload_offered(browser: Browser, gateway: stacks.Service) -> None:
    with sight.page(browser, gateway.url, camera=False) as seen:
        seen.page.get_by_role("button", name="I agree, turn on the camera").click()
        seen.screen("camera-trouble")
        expect(seen.page.locator("[data-trouble=refused]")).to_be_visible()
        seen.shoot("camera-refused")
        seen.page.context.grant_permissions(["camera"], origin=gateway.url)
        seen.page.get_by_role("button", name="Try again").click()
        seen.screen("capture")


@pytest.mark.parametrize(
    ("content", "status", "sentence"),
    [
        (MP4 + bytes(3_000_000), 413, "The video is too large for this server."),
        (b"not a video at all" * 100, 415, "This file is not an MP4 or WebM video."),
    ],
    ids=["too large", "not a video"],
)
def test_an_upload_that_is_refused_is_explained(
    browser: Browser, gateway: stacks.Service, content: bytes, status: int, sentence: str
) -> None:
    with sight.page(browser, gateway.url) as seen:
        seen.upload("me.mp4", "video/mp4", content)
        seen.screen("failure")
        expect(seen.page.locator(f"[data-http='{status}']")).to_be_visible()
        expect(seen.page.get_by_text(sentence)).to_be_visible()
        seen.shoot(f"upload-{status}")


def test_a_lost_camera_is_noticed(browser: Browser, gateway: stacks.Service) -> None:
    with sight.page(browser, gateway.url) as seen:
        seen.page.get_by_role("button", name="I agree, turn on the camera").click()
        expect(seen.page.locator("[data-screen=capture] video")).to_have_js_property("readyState", 4)
        seen.page.evaluate(
            "document.querySelector('video').srcObject.getVideoTracks()[0].dispatchEvent(new Event('ended'))"
        )
        expect(seen.page.get_by_text("The camera was disconnected.")).to_be_visible()


def test_a_slow_upload_shows_how_far_it_is(browser: Browser, gateway: stacks.Service) -> None:
    with sight.page(browser, gateway.url) as seen:
        line = seen.page.context.new_cdp_session(seen.page)
        speed = {"offline": False, "latency": 20, "downloadThroughput": -1, "uploadThroughput": 400_000}
        line.send("Network.emulateNetworkConditions", speed)
        seen.upload("me.mp4", "video/mp4", MP4 + bytes(1_600_000))
        bar = seen.page.get_by_role("progressbar", name="Sending the video")
        expect(bar).to_be_visible()
        values = set()
        while bar.is_visible():
            with contextlib.suppress(PlaywrightError):
                values.add(bar.evaluate("bar => bar.value", timeout=200))
        assert len([value for value in values if 0 < value < 100]) >= 2, values
        seen.state("queued")


def test_workers_that_are_away_leave_reasons_and_no_numbers(browser: Browser, gateway: stacks.Service) -> None:
    with sight.page(browser, gateway.url) as seen:
        seen.upload("me.mp4", "video/mp4", MP4)
        seen.state("queued")
        expect(seen.page.get_by_text("No analyser has taken the video yet.")).to_be_visible(timeout=15_000)
        seen.shoot("worker-away")
        expect(seen.page.locator("[data-screen=job][data-state=failed], [data-state=succeeded]")).to_be_visible(
            timeout=30_000
        )
        expect(seen.page.get_by_text("did not answer in time").first).to_be_visible()
        assert not any(any(c.isdigit() for c in text) for text in seen.page.locator(".value").all_inner_texts())
        seen.shoot("worker-away-end")


def test_vitals_appear_as_they_are_known(browser: Browser, gateway: stacks.Service) -> None:
    with sight.page(browser, gateway.url) as seen:
        worker = _submitted(seen, gateway)
        worker.begin()
        expect(seen.page.locator("[data-branch=rppg][data-status=running]")).to_contain_text("reading the video")
        worker.tell("heart_rate", HEART)
        expect(seen.page.locator("[data-vital=heart_rate][data-status=ok] .value")).to_have_text("66")
        expect(seen.page.locator("[data-vital=age][data-status=pending]")).to_be_visible()
        seen.shoot("arriving")
        worker.finish()
        seen.state("succeeded")


def test_a_connection_that_breaks_in_the_middle_comes_back_where_it_was(
    browser: Browser, gateway: stacks.Service
) -> None:
    with Cable(gateway.port) as cable, sight.page(browser, f"http://127.0.0.1:{cable.port}") as seen:
        resumed: list[str | None] = []
        seen.page.on(
            "request",
            lambda request: (
                resumed.append(request.headers.get("last-event-id")) if request.url.endswith("/events") else None
            ),
        )
        worker = _submitted(seen, gateway)
        worker.begin()
        expect(seen.page.locator("[data-branch=rppg][data-status=running]")).to_be_visible()
        cable.cut()
        expect(seen.page.get_by_text("Connection lost. Trying again…")).to_be_visible(timeout=10_000)
        seen.shoot("connection-lost")
        worker.tell("heart_rate", HEART)
        time.sleep(1)
        cable.mend()
        expect(seen.page.locator("[data-vital=heart_rate][data-status=ok] .value")).to_have_text("66", timeout=15_000)
        expect(seen.page.get_by_text("Connection lost")).to_have_count(0)
        worker.finish()
        seen.state("succeeded")
        assert resumed[0] is None
        assert all(resumed[1:]), "every later stream went on after the last event"


def test_where_events_do_not_get_through_the_page_asks(browser: Browser, gateway: stacks.Service) -> None:
    def swallow(route: Route) -> None:
        route.abort("connectionfailed")

    with sight.page(browser, gateway.url) as seen:
        seen.page.route("**/events", swallow)
        worker = _submitted(seen, gateway)
        expect(seen.page.locator("[data-link=polling]")).to_be_visible(timeout=20_000)
        worker.begin()
        worker.finish()
        seen.state("succeeded")
        assert seen.page.locator("[data-vital=heart_rate] .value").inner_text() == "66"


def test_an_analysis_can_be_stopped_and_erased(browser: Browser, gateway: stacks.Service) -> None:
    with sight.page(browser, gateway.url) as seen:
        _submitted(seen, gateway).begin()
        job_id = seen.job_id()
        seen.page.get_by_role("button", name="Stop and delete").click()
        seen.screen("erased")
        assert gateway.get(f"/v1/jobs/{job_id}").status_code == 404
        assert not [path for path in gateway.clips.rglob("*") if job_id in path.name]


def test_a_reload_comes_back_to_the_job_and_an_erased_one_is_said_to_be_gone(
    browser: Browser, gateway: stacks.Service
) -> None:
    with sight.page(browser, gateway.url) as seen:
        worker = _submitted(seen, gateway)
        worker.begin()
        worker.finish()
        seen.state("succeeded")
        seen.page.reload()
        seen.state("succeeded")
        gateway.records.delete(seen.job_id())
        seen.page.reload()
        seen.screen("gone")
        seen.shoot("gone")


def test_a_gateway_with_keys_asks_for_one(browser: Browser, tmp_path: Path) -> None:
    with (
        stacks.service(tmp_path, workers=0, api_keys="open-sesame") as locked,
        sight.page(browser, locked.url) as seen,
    ):
        seen.upload("me.mp4", "video/mp4", MP4)
        seen.screen("failure")
        seen.shoot("key")
        seen.page.get_by_label("Access key").fill("open-sesame")
        seen.page.get_by_role("button", name="Use this key").click()
        seen.state("queued")
