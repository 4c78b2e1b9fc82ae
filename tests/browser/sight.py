"""A browser, what it saw, and the pictures that are kept of it."""

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
    """The browser's path."""
    for name in (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"):
        if name and (found := shutil.which(name)):
            return found
    raise AssertionError("no Chromium: run 'make test-browser', or name one in CHROMIUM")


@contextmanager
def browser(playwright: Playwright, film: Path | None = None, cameras: int = 1) -> Iterator[Browser]:
    """Chromium, with a film, or else a test picture, before its camera."""
    camera = [f"--use-fake-device-for-media-stream=device-count={cameras}"]
    if film:
        camera.append(f"--use-file-for-fake-video-capture={film}")
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    running = playwright.chromium.launch(executable_path=chromium(), args=[*_QUIET, *camera, *root])
    try:
        yield running
    finally:
        running.close()


@dataclass
class Sight:
    """A page, and all that it asked for or complained of."""

    page: Page
    origin: str
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._hear)

    def _hear(self, message: Any) -> None:  # noqa: ANN401
        # A failed request is the subject of some tests; the page tells it to the person.
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    def shoot(self, name: str) -> None:
        """Keep a picture, and let axe look for barriers."""
        ARTEFACTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=ARTEFACTS / f"{name}.png", full_page=True, animations="disabled")
        self.page.evaluate(AXE.read_text())
        found = self.page.evaluate("rules => axe.run(document, { runOnly: rules })", AXE_RULES)
        barriers = [f"{v['id']}: {[node['html'] for node in v['nodes']]}" for v in found["violations"]]
        assert not barriers, f"{name}: {barriers}"

    def screen(self, name: str, timeout_s: float = 15) -> None:
        """Wait for a screen."""
        expect(self.page.locator(f"[data-screen={name}]")).to_be_visible(timeout=timeout_s * 1000)

    def state(self, state: str, timeout_s: float = 30) -> None:
        """Wait for the job's state."""
        expect(self.page.locator(f"[data-screen=job][data-state={state}]")).to_be_visible(timeout=timeout_s * 1000)

    def job_id(self) -> str:
        """The job that the address names."""
        expect(self.page).to_have_url(re.compile("#job="))
        return str(self.page.url.partition("#job=")[2])

    def upload(self, name: str, mime: str, content: bytes) -> None:
        """Hand the page a file."""
        files = {"name": name, "mimeType": mime, "buffer": content}
        self.page.locator("input[type=file]").set_input_files(files)  # type: ignore[arg-type,unused-ignore]

    def strangers(self) -> list[str]:
        """Requests to anybody but the gateway."""
        return [url for url in self.asked if not url.startswith((self.origin + "/", f"blob:{self.origin}/"))]


@contextmanager
def page(running: Browser, url: str, *, camera: bool = True, **options: Any) -> Iterator[Sight]:  # noqa: ANN401
    """A fresh page at the gateway; it must end without a complaint, having asked nobody else."""
    context: BrowserContext = running.new_context(locale="en-GB", **options)
    context.grant_permissions(["camera"] if camera else [], origin=url)
    seen = Sight(context.new_page(), url)
    try:
        seen.page.goto(url)
        yield seen
        assert seen.complaints == []
        assert seen.strangers() == []
    finally:
        context.close()
