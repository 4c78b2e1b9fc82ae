"""Fixtures with a face."""

import numpy as np
import pytest
from skimage import data

from workers.face.mesh import FaceFinder
from workers.face.portraits import Portrait, portrait_from_frame


@pytest.fixture(scope="session")
def portrait() -> Portrait:
    """A portrait of Eileen Collins, from scikit-image."""
    rgb = np.asarray(data.astronaut(), np.uint8)  # type: ignore[no-untyped-call]
    finder = FaceFinder()
    mesh = finder.mesh(rgb)
    assert mesh is not None
    return portrait_from_frame(0.0, rgb, mesh)
