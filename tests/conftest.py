"""Tests use no service but their own, and leave the priority of their process as it was."""

import os
import sys
from collections.abc import Iterator

import pytest

from shared.settings import Settings

#: Folders of models that were built or fetched; without them, tests would build models again.
_KEPT = {"models_dir", "deepface_home"}

for _variable in [name for name in os.environ if name.upper().startswith("FACEVITALS_")]:
    if _variable.upper().removeprefix("FACEVITALS_").lower() in Settings.model_fields.keys() - _KEPT:
        del os.environ[_variable]


@pytest.fixture(autouse=sys.platform == "linux")
def _ordinary_priority() -> Iterator[None]:
    """A test that leaves a real-time thread (encoders do so as root) slows down all tests after it by minutes."""
    before, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    yield
    after = os.sched_getscheduler(0)
    os.sched_setscheduler(0, before, parameters)
    assert after == before, "the test has changed the priority of the process"
