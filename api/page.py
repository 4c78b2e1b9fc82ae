"""The web page, if its bundle has been built."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from fastapi.responses import FileResponse, HTMLResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.types import Scope

#: Where wheels and images have the page, and where `make web` builds it in a checkout.
INSTALLED_BUNDLE: Final = Path(__file__).resolve().parent / "bundle"
BUILT_BUNDLE: Final = INSTALLED_BUNDLE.parent.parent / "web" / "dist"
BUNDLE: Final = INSTALLED_BUNDLE if INSTALLED_BUNDLE.is_dir() else BUILT_BUNDLE

#: The page loads nothing from other servers, and has no inline script or style, WebAssembly or blob.
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; worker-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}

_NO_BUNDLE: Final = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Face Vitals</title>
<h1>Face Vitals</h1><p>The gateway runs. The capture page is not built here: install Node 20.19 or later and start
again, or use the <a href="/docs">API</a> or <code>facevitals submit CLIP</code>.</p></html>"""


class _Assets(StaticFiles):
    """The built files under `assets/`, which have a hash of their content in their names."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS)
        if response.status_code in {200, 206, 304}:
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


def install(app: FastAPI, bundle: Path = BUNDLE) -> None:
    """Serve the page at `/`, or a page that explains why there is none."""
    index = bundle / "index.html"
    built = index.is_file()

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return FileResponse(index, headers=HEADERS) if built else HTMLResponse(_NO_BUNDLE, headers=HEADERS)

    if not built:
        return
    # File by file: a mount at "/" would answer every path and method that the API does not have.
    for item in bundle.iterdir():
        if item.is_dir():
            app.mount(f"/{item.name}", _Assets(directory=item), name=item.name)
        elif item != index and not item.name.startswith("."):
            app.add_api_route(f"/{item.name}", sender(item), include_in_schema=False)


def sender(path: Path, headers: dict[str, str] = HEADERS) -> Callable[[], Awaitable[Response]]:
    """Return an endpoint that sends this file."""

    async def send() -> Response:
        return FileResponse(path, headers=headers)

    return send
