"""`/docs`: the OpenAPI document in Swagger UI, whose files come from a package and are served from here.

Nothing is loaded from other servers: the page has the gateway's origin, and users type API keys into it.
"""

from importlib.resources import files
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, Response

from api import page

#: The capture page's policy, and the icons that Swagger UI's style sheet has as data URLs.
CONTENT_SECURITY_POLICY: Final = page.CONTENT_SECURITY_POLICY.replace("img-src 'self'", "img-src 'self' data:")
HEADERS: Final = {**page.HEADERS, "Content-Security-Policy": CONTENT_SECURITY_POLICY}

_STYLE, _SCRIPT, _ICON = FILES = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")
_START: Final = "start.js"

_PAGE: Final = f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Face Vitals: HTTP interface</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="docs/{_STYLE}"><link rel="icon" href="docs/{_ICON}">
<script src="docs/{_SCRIPT}" defer></script><script src="docs/{_START}" defer></script></head>
<body><main id="viewer"><p>The interface is described in <a href="openapi.json">openapi.json</a>; this page shows it
where scripts may run.</p></main></body></html>"""

#: No URL is sent to Swagger's online validator, and no key is stored.
_START_SCRIPT: Final = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#viewer",
  deepLinking: true,
  persistAuthorization: false,
  validatorUrl: null,
});
"""


def install(app: FastAPI) -> None:
    """Serve the viewer at `/docs` and its files below it."""
    folder = Path(str(files("fastapi_swagger") / "resources"))

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return HTMLResponse(_PAGE, headers=HEADERS)

    @app.get(f"/docs/{_START}", include_in_schema=False)
    async def start() -> Response:
        return Response(_START_SCRIPT, media_type="text/javascript", headers=HEADERS)

    for name in FILES:
        app.add_api_route(f"/docs/{name}", page.sender(folder / name, HEADERS), include_in_schema=False)
