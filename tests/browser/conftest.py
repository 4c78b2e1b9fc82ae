"""Fixtures of the browser tests: a whole service, a gateway without workers, browsers with a fake camera."""

from collections.abc import Iterator

import pytest

pytest.importorskip("playwright", reason="run 'make test-browser', which installs it")

from playwright.sync_api import Browser, Playwright, sync_playwright

from lab.simulate import ClipSpec, simulate
from tests.browser import browser_session, fake_camera, service_fixtures

HEART_RATE = 78.0


@pytest.fixture(scope="session", autouse=True)
def _bundle() -> None:
    if not (browser_session.ROOT / "web" / "dist" / "index.html").is_file():
        pytest.fail("the page is not built: run 'make web'", pytrace=False)


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """Playwright's driver."""
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[service_fixtures.Service]:
    """Broker, gateway and both workers."""
    with service_fixtures.running_service(tmp_path_factory.mktemp("service"), workers=1) as running:
        yield running


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[service_fixtures.Service]:
    """Broker and gateway. The test plays the worker, or no worker runs."""
    settings = {"max_upload_mb": "2", "job_deadline_s": "20"}
    with service_fixtures.running_service(tmp_path_factory.mktemp("gateway"), workers=0, **settings) as running:
        yield running


@pytest.fixture(scope="session")
def live_clip(tmp_path_factory: pytest.TempPathFactory) -> fake_camera.LiveClip:
    """A clip of 30 s of a live face, longer than any recording."""
    path = tmp_path_factory.mktemp("videos") / "live_clip.mp4"
    truth = simulate(path, ClipSpec(duration_s=30, heart_rate=HEART_RATE, bitrate_bps=12_000_000, seed=11))
    assert truth.heart_rate is not None
    return fake_camera.LiveClip(path, truth.heart_rate)


@pytest.fixture(scope="session")
def with_face(
    playwright: Playwright, live_clip: fake_camera.LiveClip, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Browser]:
    """A browser whose camera shows a live face."""
    video = fake_camera.camera_video(
        tmp_path_factory.mktemp("videos") / "live_clip.mjpeg", fake_camera.Segment(live_clip.path)
    )
    with browser_session.browser(playwright, video) as running:
        yield running


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """A browser whose camera shows a test picture."""
    with browser_session.browser(playwright) as running:
        yield running


@pytest.fixture(scope="session")
def short_clip(live_clip: fake_camera.LiveClip, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The first 15 s of the live face, as a file to upload."""
    path = fake_camera.cut_clip(live_clip.path, tmp_path_factory.mktemp("videos") / "short.mp4", 15)
    return path.read_bytes()
