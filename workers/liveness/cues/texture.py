"""Texture of skin against paper and screens, by MiniFASNet (Silent-Face-Anti-Spoofing, as DeepFace uses it)."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workers.face.portraits import Portrait
from workers.models.memory import OutOfMemory
from workers.models.session import Runner

#: Names of the weights, in the order of `workers.face.box_crops.BOX_SCALES`: each was trained on crops of one scale.
FASNET: Final[tuple[str, ...]] = ("fasnet.v2", "fasnet.v1se")


def texture_log_odds(portraits: Sequence[Portrait], networks: Mapping[str, Runner]) -> float | None:
    """Return the log-odds of a living face, from the median probability over the portraits.

    None where a network is not installed or runs out of memory, and where the portraits have no crops for them.
    """
    crops = [portrait.box_crops for portrait in portraits if portrait.box_crops is not None]
    if not crops or any(name not in networks for name in FASNET):
        return None
    try:
        live = float(np.median([live_probability(both, networks) for both in crops]))
    except OutOfMemory:
        return None
    return float(np.log(max(live, 1e-6) / max(1 - live, 1e-6)))


def live_probability(crops: NDArray[np.uint8], networks: Mapping[str, Runner]) -> float:
    """Return the probability of a living face, from its `box_crops` (2, 80, 80, 3): the mean of both networks."""
    total = 0.0
    for name, crop in zip(FASNET, crops, strict=True):
        bgr = crop[..., ::-1].astype(np.float32)
        logits = networks[name](np.ascontiguousarray(bgr.transpose(2, 0, 1)[None]))[0]
        powers = np.exp(logits - logits.max())
        total += float(powers[1] / powers.sum()) / len(FASNET)
    return total
