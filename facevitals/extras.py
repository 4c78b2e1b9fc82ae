"""Importing the packages of the extra `worker`: numpy, OpenCV, ONNX Runtime and others."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

#: Variables that `workers` sets: OpenMP and the linear algebra of numpy, scipy and OpenCV read them while they load.
_THREAD_VARIABLES: Final = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")

#: The releases that the extra is tested with, in a wheel and in a checkout. `pip install 'facevitals[worker]'` finds no
#: solution: packages that are installed for their weights alone declare requirements that contradict each other.
_LOCKS: Final = (
    Path(__file__).parent / "requirements" / "default.lock",
    Path(__file__).parent.parent / "requirements" / "default.lock",
)


def _lock() -> Path:
    return next((path for path in _LOCKS if path.is_file()), Path("requirements/default.lock"))


@contextmanager
def worker_extra(what: str) -> Iterator[None]:
    """Import packages of the extra inside the block; `what` needs them, as in "The analysis".

    Libraries that are loaded in the block for the first time use one thread for linear algebra. The environment is left
    as it was, so that what is loaded later, and child processes, are not limited.

    Raises:
        ModuleNotFoundError: a package is missing; the message has the command that installs it.
    """
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    try:
        for name in _THREAD_VARIABLES:
            os.environ.setdefault(name, "1")
        yield
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError(
            f"{what} is not installed here ({missing.name} is missing). Install the packages that it needs: "
            f"pip install --no-deps -r {_lock()}",
            name=missing.name,
        ) from missing
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
