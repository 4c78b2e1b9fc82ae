"""A Chromium session: its requests, its console errors and its screenshots."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect

ROOT = Path(__file__).parent.parent.parent
ARTEFACTS = ROOT / "artefacts" / "browser"
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
AXE_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

_QUIET = [
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--disable-sync",
]


def chromium() -> str:
    """Path of the browser's executable."""
    for name in (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"):
        if name and (found := shutil.which(name)):
            return found
    raise AssertionError("no Chromium: run 'make test-browser', or name one in CHROMIUM")


@contextmanager
def browser(playwright: Playwright, video: Path | None = None, cameras: int = 1) -> Iterator[Browser]:
    """Chromium with a fake camera that plays `video`, or shows a test picture."""
    camera = [f"--use-fake-device-for-media-stream=device-count={cameras}"]
    if video:
        camera.append(f"--use-file-for-fake-video-capture={video}")
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    running = playwright.chromium.launch(executable_path=chromium(), args=[*_QUIET, *camera, *root])
    try:
        yield running
    finally:
        running.close()


@dataclass
class PageSession:
    """A page with the requests that it made and the errors that it logged."""

    page: Page
    origin: str
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._record_console)

    def _record_console(self, message: Any) -> None:  # noqa: ANN401
        # Some tests make requests fail; the page shows that to the user.
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            self.errors.append(message.text)

    def screenshot(self, name: str) -> None:
        """Save a screenshot and check the page with axe."""
        ARTEFACTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=ARTEFACTS / f"{name}.png", full_page=True, animations="disabled")
        self.page.evaluate(AXE.read_text())
        found = self.page.evaluate("rules => axe.run(document, { runOnly: rules })", AXE_RULES)
        barriers = [f"{v['id']}: {[node['html'] for node in v['nodes']]}" for v in found["violations"]]
        assert not barriers, f"{name}: {barriers}"

    def screen(self, name: str, timeout_s: float = 15) -> None:
        """Wait until a screen is shown."""
        expect(self.page.locator(f"[data-screen={name}]")).to_be_visible(timeout=timeout_s * 1000)

    def state(self, state: str, timeout_s: float = 30) -> None:
        """Wait until the page shows the job's state."""
        expect(self.page.locator(f"[data-screen=job][data-state={state}]")).to_be_visible(timeout=timeout_s * 1000)

    def job_id(self) -> str:
        """The job's id, from the page's address."""
        expect(self.page).to_have_url(re.compile("#job="))
        return str(self.page.url.partition("#job=")[2])

    def upload(self, name: str, mime: str, content: bytes) -> None:
        """Upload a file through the page's file input."""
        files = {"name": name, "mimeType": mime, "buffer": content}
        self.page.locator("input[type=file]").set_input_files(files)  # type: ignore[arg-type,unused-ignore]

    def third_party_requests(self) -> list[str]:
        """Requests to any other origin than the gateway's."""
        return [url for url in self.requests if not url.startswith((self.origin + "/", f"blob:{self.origin}/"))]


@contextmanager
def page(running: Browser, url: str, *, camera: bool = True, **options: Any) -> Iterator[PageSession]:  # noqa: ANN401
    """A new page at the gateway. At its end it must have logged no error and sent no request to another origin."""
    context: BrowserContext = running.new_context(locale="en-GB", **options)
    context.grant_permissions(["camera"] if camera else [], origin=url)
    session = PageSession(context.new_page(), url)
    try:
        session.page.goto(url)
        yield session
        assert session.errors == []
        assert session.third_party_requests() == []
    finally:
        context.close()
