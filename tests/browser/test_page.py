"""The page: its size, its headers, its accessibility."""

import gzip
import json
import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, Playwright, expect
from skimage import data

from tests.browser import browser_session, service_fixtures
from workers.face.mesh import FaceFinder

DIST = browser_session.ROOT / "web" / "dist"
SIZES = {"phone": (360, 780), "desktop": (1280, 900)}
FIXTURES = browser_session.ROOT / "web" / "src" / "fixtures"


class _Assets(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.files: list[str] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag == "script" or (tag == "link" and named.get("rel") in {"stylesheet", "modulepreload"}):
            self.files.append(named.get("src") or named.get("href") or "")
        if tag == "style" or (tag == "script" and "src" not in named) or "style" in named:
            self.inline.append(tag)
        self.inline += [name for name in named if name.startswith("on")]


def test_the_first_load_is_below_200_kb() -> None:
    assets = _Assets()
    assets.feed((DIST / "index.html").read_text())
    files = [DIST / "index.html", *(DIST / name.lstrip("/") for name in assets.files)]
    assert len(files) >= 3
    size = sum(len(gzip.compress(file.read_bytes())) for file in files)
    assert size < 200_000, f"{size} bytes gzipped"


def test_nothing_in_the_page_is_inline() -> None:
    assets = _Assets()
    assets.feed((DIST / "index.html").read_text())
    assert assets.inline == []


def test_the_page_is_served_under_a_strict_policy(gateway: service_fixtures.Service) -> None:
    home = gateway.get("/")
    policy = home.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert home.headers["cache-control"] == "no-cache"
    script = re.search(r'src="(/assets/[^"]+\.js)"', home.text)
    assert script is not None
    asset = gateway.get(script.group(1))
    assert "immutable" in asset.headers["cache-control"]
    assert asset.headers["content-security-policy"] == policy


def test_the_api_docs_load_no_third_party_file(browser: Browser, gateway: service_fixtures.Service) -> None:
    with browser_session.page(browser, gateway.url, camera=False) as session:
        session.page.goto(f"{gateway.url}/docs")
        operation = session.page.locator(".opblock-post .opblock-summary", has_text="/save_video")
        expect(operation).to_be_visible(timeout=30_000)
        expect(session.page.locator(".errors-wrapper")).to_have_count(0)
        # Parts that open on a click load icons, forms and code of their own.
        operation.click()
        session.page.locator(".opblock-post .try-out__btn").first.click()
        expect(session.page.locator(".opblock-post .execute").first).to_be_visible()
        session.page.locator(".opblock-get .opblock-summary", has_text="/livez").click()
        session.page.locator(".opblock-get .try-out__btn").first.click()
        session.page.locator(".opblock-get .execute").first.click()
        expect(session.page.locator(".live-responses-table .response .response-col_status").first).to_contain_text(
            "200"
        )
        session.page.locator(".authorize").first.click()
        expect(session.page.locator(".modal-ux")).to_be_visible()
        session.page.locator(".modal-ux .close-modal").click()
        browser_session.ARTEFACTS.mkdir(parents=True, exist_ok=True)
        session.page.screenshot(path=browser_session.ARTEFACTS / "docs.png", full_page=True, animations="disabled")
        assert [url for url in session.requests if url.endswith("/docs/swagger-ui-bundle.js")]


def _answer_with_the_fixture(session: browser_session.PageSession, *warnings: str) -> None:
    document = json.loads((FIXTURES / "succeeded.json").read_text())
    document["warnings"] = [{"code": code, "detail": ""} for code in warnings]
    waves = (FIXTURES / "waveforms.json").read_text()
    session.page.route("**/v1/jobs/*", lambda route: route.fulfill(json=document))
    session.page.route("**/v1/jobs/*/events", lambda route: route.fulfill(status=204))
    session.page.route("**/v1/jobs/*/waveforms", lambda route: route.fulfill(body=waves))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", SIZES)
def test_notes_on_an_unusual_clip_fit_and_pass_axe(
    browser: Browser, gateway: service_fixtures.Service, theme: str, name: str
) -> None:
    width, height = SIZES[name]
    viewport = {"width": width, "height": height}
    with browser_session.page(browser, gateway.url, viewport=viewport, color_scheme=theme) as session:
        _answer_with_the_fixture(session, "rotated_by_face", "high_dynamic_range")
        session.page.goto(f"{gateway.url}/#job=x")
        session.page.reload()
        session.state("succeeded")
        expect(session.page.locator("[data-warning]")).to_have_count(2)
        session.screenshot(f"warnings-{name}-{theme}")
        assert session.page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_picker_takes_a_mov_and_refuses_a_picture(browser: Browser, gateway: service_fixtures.Service) -> None:
    quicktime = b"\x00\x00\x00\x14ftypqt  \x00\x00\x02\x00qt  " + bytes(2000)
    picture = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(2000)
    with browser_session.page(browser, gateway.url, camera=False) as session:
        offered = session.page.locator("input[type=file]").get_attribute("accept") or ""
        assert {".mov", "video/quicktime"} <= set(offered.split(","))
        session.upload("IMG_0001.HEIC", "image/heic", picture)
        expect(session.page.get_by_role("alert")).to_contain_text("This file is a picture.")
        session.screenshot("picture")
        assert not [url for url in session.requests if "/v1/jobs" in url]
        session.upload("IMG_0002.MOV", "video/quicktime", quicktime)
        session.state("queued")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", SIZES)
def test_the_page_fits_and_passes_axe(
    with_face: Browser, gateway: service_fixtures.Service, theme: str, name: str
) -> None:
    width, height = SIZES[name]
    viewport = {"width": width, "height": height}
    with browser_session.page(with_face, gateway.url, viewport=viewport, color_scheme=theme) as session:

        def fits(screen: str) -> None:
            session.screenshot(f"{screen}-{name}-{theme}")
            wide = session.page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{screen} is {wide} pixels wide"

        fits("start")
        session.page.get_by_role("button", name="I agree, turn on the camera").click()
        expect(session.page.locator("[data-screen=capture][data-phase=settling]")).to_be_visible(timeout=20_000)
        fits("capture")
        _answer_with_the_fixture(session)
        session.page.goto(f"{gateway.url}/#job=x")
        session.page.reload()
        session.state("succeeded")
        expect(session.page.locator("[data-spectrum=respiration_rate] canvas")).to_be_visible()
        fits("result")


def test_the_page_works_with_the_keyboard_alone(with_face: Browser, gateway: service_fixtures.Service) -> None:
    with browser_session.page(with_face, gateway.url) as session:
        focused = "document.activeElement.textContent"
        expect(session.page.get_by_role("heading", level=1)).to_be_visible()
        session.page.keyboard.press("Tab")
        assert session.page.evaluate(focused) == "Skip to content"
        session.page.keyboard.press("Enter")
        assert session.page.evaluate("document.activeElement.id") == "main"
        session.page.keyboard.press("Tab")
        assert session.page.evaluate(focused) == "I agree, turn on the camera"
        session.page.keyboard.press("Enter")
        session.screen("capture")
        assert session.page.evaluate("document.activeElement.tagName") == "H1", (
            "a screen reader announces the new screen"
        )


def test_the_page_is_german_in_a_german_browser(browser: Browser, gateway: service_fixtures.Service) -> None:
    context = browser.new_context(locale="de-AT")
    page = context.new_page()
    page.goto(gateway.url)
    expect(page.get_by_role("heading", level=1)).to_have_text("Ihre Vitalwerte aus 15 Sekunden Video")
    assert page.evaluate("document.documentElement.lang") == "de"
    context.close()


def test_german_fits_a_phone(browser: Browser, gateway: service_fixtures.Service) -> None:
    with browser_session.page(browser, gateway.url, viewport={"width": 360, "height": 780}) as session:
        session.page.get_by_label("Language").select_option("de")
        _answer_with_the_fixture(session)
        for address in (gateway.url, f"{gateway.url}/#job=x"):
            session.page.goto(address)
            session.page.reload()
            expect(session.page.get_by_role("heading", level=1)).to_contain_text("Ihre Vitalwerte")
            session.screenshot(f"german-{'result' if 'job' in address else 'start'}-phone")
            assert session.page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_person_chooses_between_cameras(playwright: Playwright, gateway: service_fixtures.Service) -> None:
    with (
        browser_session.browser(playwright, cameras=2) as running,
        browser_session.page(running, gateway.url) as session,
    ):
        session.page.get_by_role("button", name="I agree, turn on the camera").click()
        chooser = session.page.get_by_label("Camera", exact=True)
        expect(chooser).to_be_visible()
        ids = chooser.locator("option").evaluate_all("options => options.map((option) => option.value)")
        assert len(ids) == 2
        other = next(camera for camera in ids if camera != chooser.input_value())
        chooser.select_option(other)
        expect(chooser).to_have_value(other)
        session.page.wait_for_timeout(500)
        opened = "document.querySelector('video').srcObject.getVideoTracks()[0].getSettings().deviceId"
        assert session.page.evaluate(opened) == other


def test_the_page_finds_the_face_that_the_worker_finds(browser: Browser, gateway: service_fixtures.Service) -> None:
    portrait = data.astronaut()[  # type: ignore[no-untyped-call]
        :400, 60:440
    ]
    picture = cv2.copyMakeBorder(portrait, 40, 40, 100, 100, cv2.BORDER_CONSTANT, value=(90, 90, 90))
    height, width = picture.shape[:2]
    small = cv2.resize(picture, (128, round(128 * height / width)), interpolation=cv2.INTER_AREA)
    (box,) = FaceFinder().faces(small)
    rgba = np.dstack([small, np.full(small.shape[:2], 255, np.uint8)])
    worker = next((DIST / "assets").glob("worker-*.js")).name
    script = """async ([worker, pixels, width, height]) => {
      const detector = new Worker('/assets/' + worker, { type: 'module' })
      const answer = () => new Promise((resolve) => (detector.onmessage = ({ data }) => resolve(data)))
      await answer()
      const found = answer()
      detector.postMessage({ data: new Uint8ClampedArray(pixels), width, height })
      return (await found).faces
    }"""
    with browser_session.page(browser, gateway.url) as session:
        faces = session.page.evaluate(script, [worker, rgba.ravel().tolist(), small.shape[1], small.shape[0]])
    assert len(faces) == 1
    for ours, theirs in zip(
        (faces[0][name] for name in ("x", "y", "width", "height")),
        (
            box.left / small.shape[1],
            box.top / small.shape[0],
            box.width / small.shape[1],
            box.height / small.shape[0],
        ),
        strict=True,
    ):
        assert ours == pytest.approx(theirs, abs=0.03)
