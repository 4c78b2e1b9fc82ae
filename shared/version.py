"""The project's version, in one place."""

from importlib.metadata import version
from typing import Final

VERSION: Final = version("facevitals")
