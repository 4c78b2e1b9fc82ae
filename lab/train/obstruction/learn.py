"""Training of the obstruction network; needs PyTorch."""

import sys
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lab.arrays import Floats
from workers.face.occlusion_input import GRID

_BATCH: Final = 48
#: Highest learning rate of the one-cycle schedule.
_RATE: Final = 6e-3


def train(inputs: NDArray[np.float32], masks: NDArray[np.float32], epochs: int) -> dict[str, Floats]:
    """Train on inputs (n, 3, 64, 64) and hidden shares (n, 16, 16) for `epochs`; the weights by name, float64.

    Prints the mean loss of each epoch to standard error.
    """
    import torch
    from torch import nn
    from torch.nn import functional

    torch.manual_seed(0)

    def block(before: int, after: int, kernel: int = 3, stride: int = 1, dilation: int = 1) -> Any:  # noqa: ANN401
        padding = dilation * (kernel // 2)
        return nn.Sequential(
            nn.Conv2d(before, after, kernel, stride, padding, dilation, bias=False), nn.BatchNorm2d(after), nn.ReLU()
        )

    parts = nn.ModuleDict({
        "a": block(3, 12, stride=2), "b": block(12, 24, stride=2), "c": block(24, 32),
        "d": block(32, 48, stride=2), "e": block(48, 48), "f": block(48, 48, dilation=2),
        "g": block(80, 32, kernel=1), "h": nn.Conv2d(32, 1, 1),
    })  # fmt: skip
    place = nn.Parameter(torch.zeros(1, 24, GRID, GRID))

    def forward(x: Any) -> Any:  # noqa: ANN401
        x = parts["c"](parts["b"](parts["a"](x)) + place)
        y = functional.interpolate(parts["f"](parts["e"](parts["d"](x))), scale_factor=2, mode="nearest")
        return parts["h"](parts["g"](torch.cat([x, y], 1)))[:, 0]

    x, y = torch.from_numpy(inputs), torch.from_numpy(masks)
    rounds = len(x) // _BATCH
    parameters = [*parts.parameters(), place]
    optimiser = torch.optim.AdamW(parameters, _RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=epochs * rounds)
    for epoch in range(epochs):
        order, total = torch.randperm(len(x)), 0.0
        for part in range(rounds):
            own = order[part * _BATCH : (part + 1) * _BATCH]
            seen, truth = x[own], y[own]
            if torch.rand(1) < 0.5:
                seen, truth = seen.flip(3), truth.flip(2)
            seen = seen * (1 + 0.1 * torch.randn(_BATCH, 3, 1, 1)) + 0.1 * torch.randn(_BATCH, 3, 1, 1)
            loss = functional.binary_cross_entropy_with_logits(forward(seen), truth)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += float(loss)
        sys.stderr.write(f"epoch {epoch + 1} of {epochs}: {total / rounds:.4f}\n")
    weights = {name: value.detach().numpy().astype(np.float64) for name, value in parts.state_dict().items()}
    return weights | {"pos": place.detach().numpy().astype(np.float64)}
