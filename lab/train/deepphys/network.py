"""DeepPhys in PyTorch; weights have the names of rPPG-Toolbox, so that checkpoints are interchangeable.

Chen, McDuff 2018, "DeepPhys: video-based physiological measurement using convolutional attention networks", ECCV
(arXiv 1805.07888).
"""

from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from workers.models.deepphys_network import SIDES

#: Dropout after each pooling and before the last layer, the paper's.
DROPOUT: Final = (0.25, 0.5)


class DeepPhys(nn.Module):  # type: ignore[misc]  # PyTorch is not installed everywhere
    """`motion` (n, 3, s, s) and `appearance` (k, 3, s, s), n a multiple of k, to the wave's derivative (n, 1).

    Each appearance serves the n/k motions that follow it. s is 36 as in the paper, or 72 as in rPPG-Toolbox.
    """

    def __init__(self, side: int = 36, dropout: tuple[float, float] = DROPOUT) -> None:
        super().__init__()
        features = {of: number for number, of in SIDES.items()}[side]
        for branch in ("motion", "apperance"):
            self.add_module(f"{branch}_conv1", nn.Conv2d(3, 32, 3, padding=1))
            self.add_module(f"{branch}_conv2", nn.Conv2d(32, 32, 3))
            self.add_module(f"{branch}_conv3", nn.Conv2d(32, 64, 3, padding=1))
            self.add_module(f"{branch}_conv4", nn.Conv2d(64, 64, 3))
        self.apperance_att_conv1 = nn.Conv2d(32, 1, 1)
        self.apperance_att_conv2 = nn.Conv2d(64, 1, 1)
        self.pool = nn.AvgPool2d(2)
        self.thin, self.thin_last = nn.Dropout(dropout[0]), nn.Dropout(dropout[1])
        self.final_dense_1 = nn.Linear(features, 128)
        self.final_dense_2 = nn.Linear(128, 1)

    def forward(self, motion: Any, appearance: Any) -> Any:  # noqa: ANN401
        """The wave's derivative (n, 1)."""
        x, face = motion, appearance
        each = len(motion) // len(appearance)
        for first, second, attend in ((1, 2, self.apperance_att_conv1), (3, 4, self.apperance_att_conv2)):
            face = self._pair(face, "apperance", first, second)
            mask = torch.sigmoid(attend(face).float())
            mask = mask / (2 * mask.mean(dim=(2, 3), keepdim=True))
            x = self._pair(x, "motion", first, second)
            x = self.thin(self.pool(x * mask.to(x.dtype).repeat_interleave(each, dim=0)))
            face = self.thin(self.pool(face))
        x = torch.tanh(self.final_dense_1(x.flatten(1)))
        return self.final_dense_2(self.thin_last(x))

    def _pair(self, x: Any, branch: str, first: int, second: int) -> Any:  # noqa: ANN401
        x = torch.tanh(self.get_submodule(f"{branch}_conv{first}")(x))
        return torch.tanh(self.get_submodule(f"{branch}_conv{second}")(x))


def save(network: DeepPhys, path: Path) -> Path:
    """Write the network's state dictionary to `path`, as rPPG-Toolbox does; returns the path."""
    making = path.with_name(f".{path.name}")
    torch.save({name: value.detach().cpu().float() for name, value in network.state_dict().items()}, making)
    making.replace(path)
    return path
