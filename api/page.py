"""The web page, where its bundle has been built."""

from pathlib import Path
from typing import Final

from fastapi import FastAPI
from fastapi.responses import FileResponse, HTMLResponse, Response
from fastapi.staticfiles import StaticFiles

#: Where `make` builds the page.
BUNDLE: Final = Path(__file__).resolve().parent.parent / "web" / "dist"

#: The page loads nothing from elsewhere; its face detector compiles WebAssembly and runs it in a worker.
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; connect-src 'self'; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "frame-ancestors 'none'; form-action 'self'"
)

_NO_BUNDLE: Final = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Face Vitals</title>
<h1>Face Vitals</h1><p>The gateway runs. The capture page is not built here: install Node 20 or later and start again,
or use the <a href="/docs">API</a> or <code>facevitals submit CLIP</code>.</p></html>"""


def install(app: FastAPI, bundle: Path = BUNDLE) -> None:
    """Serve the page at `/`, or say clearly why there is none."""
    built = (bundle / "index.html").is_file()

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY, "Cache-Control": "no-cache"}
        if not built:
            return HTMLResponse(_NO_BUNDLE, headers=headers)
        return FileResponse(bundle / "index.html", headers=headers)

    if built:
        app.mount("/", StaticFiles(directory=bundle), name="page")
