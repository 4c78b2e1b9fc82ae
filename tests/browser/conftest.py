"""What the browser tests share: one service, one gateway without workers, one browser with a living face."""

from collections.abc import Iterator

import pytest

pytest.importorskip("playwright", reason="run 'make test-browser', which installs it")

from playwright.sync_api import Browser, Playwright, sync_playwright

from lab.simulate import ClipSpec, simulate
from tests.browser import films, sight, stacks

HEART_RATE = 78.0


@pytest.fixture(scope="session", autouse=True)
def _bundle() -> None:
    if not (sight.ROOT / "web" / "dist" / "index.html").is_file():
        pytest.fail("the page is not built: run 'make web'", pytrace=False)


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """The driver."""
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stacks.Service]:
    """Everything: broker, gateway, both workers."""
    with stacks.service(tmp_path_factory.mktemp("service"), workers=1) as running:
        yield running


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stacks.Service]:
    """Broker and gateway; the test is the worker, or nobody is."""
    settings = {"max_upload_mb": "2", "job_deadline_s": "20"}
    with stacks.service(tmp_path_factory.mktemp("gateway"), workers=0, **settings) as running:
        yield running


@pytest.fixture(scope="session")
def living(tmp_path_factory: pytest.TempPathFactory) -> films.Living:
    """Half a minute of a living face, so that a recording never meets the film's end."""
    path = tmp_path_factory.mktemp("films") / "living.mp4"
    truth = simulate(path, ClipSpec(duration_s=30, heart_rate=HEART_RATE, bitrate_bps=12_000_000, seed=11))
    assert truth.heart_rate is not None
    return films.Living(path, truth.heart_rate)


@pytest.fixture(scope="session")
def with_face(
    playwright: Playwright, living: films.Living, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Browser]:
    """A browser before whose camera a person sits."""
    film = films.camera_film(tmp_path_factory.mktemp("films") / "living.mjpeg", films.Scene(living.path))
    with sight.browser(playwright, film) as running:
        yield running


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """A browser whose camera shows a test picture."""
    with sight.browser(playwright) as running:
        yield running


@pytest.fixture(scope="session")
def short_clip(living: films.Living, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Fifteen seconds of the living face, as a file to upload."""
    path = films.cut(living.path, tmp_path_factory.mktemp("films") / "short.mp4", 15)
    return path.read_bytes()
