"""Build hook: puts the built page into wheels and source distributions, and the lock file of the analysis into wheels.

`make web` builds the page into `web/dist`; the gateway serves it from `api/bundle` where it is installed from a wheel.
An editable installation serves `web/dist` itself and does not need it.
"""

import os
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

#: Where `make web` builds the page, and where each kind of distribution holds it.
PAGE: Final = "web/dist"
PLACES: Final = {"wheel": "api/bundle", "sdist": PAGE}

#: The releases that the extra `worker` is tested with: facevitals/extras.py
LOCK: Final = "requirements/default.lock"

#: Set to 1, it allows a build without the page: in images, which take the page from a stage of its own.
WITHOUT_PAGE: Final = "BUILD_WITHOUT_PAGE"


class PageHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds files to a distribution, or stops the build where the page has not been built."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the page and the lock file to `build_data`.

        Raises:
            SystemExit: the page has not been built, and `BUILD_WITHOUT_PAGE` is not set.
        """
        if version == "editable":
            return
        lock = Path(self.root) / LOCK
        if self.target_name == "wheel" and lock.is_file():
            build_data["force_include"][str(lock)] = f"facevitals/{LOCK}"
        page = Path(self.root) / PAGE
        if (page / "index.html").is_file():
            build_data["force_include"][str(page)] = PLACES[self.target_name]
        elif os.environ.get(WITHOUT_PAGE) != "1":
            raise SystemExit(
                f"The page is not built: {PAGE}/index.html is missing. Run `make web` (it needs Node.js 20.19 or "
                f"later), or set {WITHOUT_PAGE}=1 to build without the page."
            )
