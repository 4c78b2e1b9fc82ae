"""The project's version, in one place."""

from importlib.metadata import version
from typing import Final

#: Version of the installed package.
VERSION: Final = version("facevitals")
