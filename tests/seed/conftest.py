"""Fixtures for the original's models: portraits of a face, and a ViT small enough to be created in a test."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from workers.face.mesh import FaceFinder
from workers.face.portraits import Portrait, portrait_from_frame


@pytest.fixture(scope="session")
def portraits() -> tuple[Portrait, ...]:
    """Nine portraits of one woman, each shifted a few pixels further to the side."""
    astronaut = np.asarray(data.astronaut(), np.uint8)  # type: ignore[no-untyped-call]
    finder = FaceFinder()
    found = []
    for index in range(9):
        rgb: NDArray[np.uint8] = np.ascontiguousarray(np.roll(astronaut, 3 * index, axis=1))
        finder.reset()
        mesh = finder.mesh(rgb)
        assert mesh is not None
        found.append(portrait_from_frame(index + 1.0, rgb, mesh))
    return tuple(found)


@pytest.fixture(scope="session")
def small_vit() -> dict[str, Any]:
    """Weights of a ViT with 32 pixels, two layers and width 48, and a narrow version of the original's head."""
    import torch

    from workers.models.vit import vision_transformer

    torch.manual_seed(0)
    torch.set_num_threads(1)
    module = vision_transformer().VisionTransformer(32, 8, 2, 4, 48, 96)
    widths = [48, 24, 12, 1]
    module.heads = torch.nn.Module()
    for place, (before, after) in enumerate(pairwise(widths), 1):
        setattr(module.heads, f"linear{place}", torch.nn.Linear(before, after))
    with torch.no_grad():
        module.heads.linear3.bias.fill_(26.0)
    weights: dict[str, Any] = module.state_dict()
    return weights
