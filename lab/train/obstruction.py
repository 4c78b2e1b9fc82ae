"""`python -m lab.train.obstruction FACES`: the network of `workers.face.obstruction_check`, from portraits.

Portraits (as `lab.bench.vision` reads them) are laid flat, things are drawn over them (`lab.simulate.occluders`), and
the network learns where. Of every four portraits two are kept out: `python -m lab.bench.obstruction` measures on those.
Needs PyTorch (`pip install torch==2.13.0`), which nothing else of this does.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from lab.bench.vision import portraits_of
from lab.simulate.occluders import draw
from workers.face.occlusion_input import GRID, POINTS, SIDE, WEIGHTS, fit_affine, network_input
from workers.face.portraits import Portrait
from workers.models.graph import Graph

Floats = NDArray[np.float64]

#: What is drawn over each portrait, and how often.
DRAWN: Final = {"hand": 5, "mask": 2, "phone": 2, "scarf": 2, "hair": 2, "glasses": 1, "beard": 1, "free": 3}
# Side of the picture on which things are drawn, and how much of the face's surroundings it shows.
_DRAWN_SIDE: Final = 112
_AROUND: Final = 1.35
_BATCH: Final = 48
_RATE: Final = 6e-3
_EPSILON: Final = 1e-5


def held_out(index: int) -> bool:
    """Whether the portrait of this number is kept from training."""
    return index // 2 % 2 == 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw, train, write the network."""
    parser = argparse.ArgumentParser(prog="python -m lab.train.obstruction", description=__doc__)
    parser.add_argument("faces", type=Path)
    parser.add_argument("--epochs", type=int, default=32)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    portraits, _, _ = portraits_of(options.faces)
    chosen = [(index, portrait) for index, portrait in enumerate(portraits) if not held_out(index)]
    pictures, masks = pool(chosen)
    options.out.write_bytes(graph_of(train(network_input(pictures), np.stack(masks), options.epochs)))
    return 0


def pool(portraits: Sequence[tuple[int, Portrait]]) -> tuple[list[NDArray[np.uint8]], list[NDArray[np.float32]]]:
    """Flat faces (64, 64, 3) with things drawn over them, and where they are hidden (16, 16)."""
    pictures: list[NDArray[np.uint8]] = []
    masks: list[NDArray[np.float32]] = []
    for index, portrait in portraits:
        small, mesh = _near(portrait)
        jobs = [kind for kind, count in DRAWN.items() for _ in range(count)]
        for number, kind in enumerate(jobs):
            rng = np.random.default_rng([index, number, 99])
            rgb, mask = small, np.zeros(small.shape[:2], np.float32)
            if kind != "free":
                covered = draw(kind, small, mesh, rng)
                rgb, mask = covered.rgb, covered.mask
            move = _trembling(rng)
            rgb = np.asarray(cv2.warpAffine(rgb, move, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE), np.uint8)
            mask = np.asarray(cv2.warpAffine(mask, move, (SIDE, SIDE)), np.float32)
            pictures.append(filmed(rgb, rng))
            masks.append(np.asarray(cv2.resize(mask, (GRID, GRID), interpolation=cv2.INTER_AREA), np.float32))
    return pictures, masks


def filmed(rgb: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A picture (h, w, 3) in another light, softer, with a sensor's noise; three of ten stay as they are."""
    if rng.random() >= 0.7:
        return rgb
    light = np.clip((rgb / 255.0) ** rng.uniform(0.6, 1.6) * rng.uniform(0.75, 1.25) * rng.uniform(0.88, 1.12, 3), 0, 1)
    if rng.random() < 0.5:
        light = np.asarray(cv2.GaussianBlur(light, (0, 0), rng.uniform(0.3, 1.0)))
    return np.asarray(np.clip(255 * light + rng.normal(0, rng.uniform(0, 5), light.shape), 0, 255), np.uint8)


def _near(portrait: Portrait) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The face and what is around it (112, 112, 3), and its mesh there."""
    flat = fit_affine(portrait.landmarks[POINTS].astype(np.float64))
    scale = _DRAWN_SIDE / (SIDE * _AROUND)
    shift = np.array([[_DRAWN_SIDE / 2], [_DRAWN_SIDE / 2]]) - scale * SIDE / 2
    place = np.column_stack([scale * flat[:, :2], scale * flat[:, 2:] + shift])
    size = float(np.sqrt(abs(np.linalg.det(place[:, :2]))))
    rgb = portrait.rgb if size >= 0.6 else np.asarray(cv2.GaussianBlur(portrait.rgb, (0, 0), 0.4 / size), np.uint8)
    small = cv2.warpAffine(rgb, place, (_DRAWN_SIDE, _DRAWN_SIDE), borderMode=cv2.BORDER_REPLICATE)
    mesh = np.column_stack([portrait.landmarks, np.ones(len(portrait.landmarks))]) @ place.T
    return np.asarray(small, np.uint8), mesh.astype(np.float32)


def _trembling(rng: np.random.Generator) -> Floats:
    """From there onto the flat face, about as far off as a mesh that is drawn over a hand."""
    angle, size = rng.normal(0, 0.05), np.exp(rng.normal(0, 0.05)) * _AROUND * SIDE / _DRAWN_SIDE
    turn = size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turn[:, 1] *= np.exp(rng.normal(0, 0.05))
    centre = np.full(2, _DRAWN_SIDE / 2)
    return np.column_stack([turn, SIDE / 2 + rng.normal(0, 1.6, 2) - turn @ centre])


def train(inputs: NDArray[np.float32], masks: NDArray[np.float32], epochs: int) -> dict[str, Floats]:
    """The trained weights by name, for inputs (n, 3, 64, 64) and masks (n, 16, 16)."""
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


def graph_of(weights: Mapping[str, Floats]) -> bytes:
    """The serialised network: `faces` (n, 3, 64, 64) → log-odds (n, 1, 16, 16), float32."""
    graph = Graph("faces")

    def block(name: str, stride: int = 1, dilation: int = 1) -> None:
        mean, variance = weights[f"{name}.1.running_mean"], weights[f"{name}.1.running_var"]
        scale = weights[f"{name}.1.weight"] / np.sqrt(variance + _EPSILON)
        kernel = weights[f"{name}.0.weight"] * scale[:, None, None, None]
        pads = [dilation * (kernel.shape[2] // 2)] * 4
        shift = weights[f"{name}.1.bias"] - mean * scale
        graph.add("Conv", kernel, shift, strides=[stride] * 2, pads=pads, dilations=[dilation] * 2)
        graph.add("Relu")

    block("a", 2)
    block("b", 2)
    graph.add("Add", weights["pos"])
    block("c")
    fine = graph.x
    block("d", 2)
    block("e")
    block("f", dilation=2)
    graph.add("Resize", np.zeros(0), np.array([1.0, 1.0, 2.0, 2.0]), mode="nearest", nearest_mode="floor",
              coordinate_transformation_mode="asymmetric")  # fmt: skip
    graph.concatenate(1, fine, graph.x)
    block("g")
    graph.add("Conv", weights["h.weight"], weights["h.bias"])
    faces = helper.make_tensor_value_info("faces", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])
    return graph.serialise("obstruction", [faces], ["n", 1, GRID, GRID])


if __name__ == "__main__":
    sys.exit(main())
