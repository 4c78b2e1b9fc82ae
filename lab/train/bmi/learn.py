"""Transfer learning: the original's head on a Vision Transformer, alone or with the whole network.

The original: SWAG's ViT-H/14 kept frozen, five linear layers with GELU between them (each half as wide as the one
before), dropout of one half after the first, Adam at 1e-3, mean squared error, an end after five rounds without a gain.
"""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lab.arrays import Floats32
from lab.train.bmi.face_pictures import Picture, varied
from workers.models.vit import BmiCard, Tensors, build_module, read
from workers.vision.bmi.vit_predictor import network_input

#: Any PyTorch object: PyTorch is not installed where types are checked.
Module = Any

_DROPOUT: Final = 0.5


@dataclass(frozen=True)
class Plan:
    """How to train.

    frozen  train the head alone, on the backbone's features of `copies` varied copies of each face, computed once
    rate    learning rate of the head; that of the backbone is a hundredth
    """

    frozen: bool = True
    copies: int = 5
    rounds: int = 50
    patience: int = 5
    batch: int = 16
    rate: float = 1e-3
    seed: int = 1
    device: str = "cpu"
    bf16: bool = False


@dataclass(frozen=True)
class Labelled:
    """Files of the squares (side, side, 3) of n faces, read one at a time, and their BMI (n,) in kg/m2."""

    files: Sequence[Path]
    bmi: Floats32

    def faces(self) -> Iterator[Picture]:
        """The squares, one after the other."""
        return (np.load(file) for file in self.files)


def with_new_head(backbone: Path, card: BmiCard, mean_bmi: float, seed: int) -> tuple[Module, int, Tensors]:
    """The network with a head that outputs the mean BMI; the side of its pictures; the backbone's own tensors.

    Raises:
        CheckpointUnreadable: the file is not a ViT of torchvision.
    """
    torch.manual_seed(seed)
    trunk = {name: tensor for name, tensor in read(backbone).items() if not name.startswith("heads.")}
    width = trunk["class_token"].shape[-1] if "class_token" in trunk else 0
    widths = [max(width // 2**place, 1) for place in range(5)] + [1]
    head: Tensors = {}
    for place, (before, after) in enumerate(pairwise(widths), 1):
        layer = nn.Linear(before, after)
        if place == len(widths) - 1:
            nn.init.constant_(layer.bias, mean_bmi)
        head |= {f"heads.linear{place}.{name}": value.detach() for name, value in layer.state_dict().items()}
    module, side = build_module(trunk | head, card)
    # The workers' head has no dropout; it is inserted for training only.
    module.heads.insert(2, nn.Dropout(_DROPOUT))
    return module, side, trunk


def head_of(module: Module) -> Tensors:
    """The head's tensors under the original's names."""
    layers = [layer for layer in module.heads if isinstance(layer, nn.Linear)]
    return {
        f"heads.linear{place}.{name}": value.detach().cpu()
        for place, layer in enumerate(layers, 1)
        for name, value in layer.state_dict().items()
    }


def train(
    module: Module,
    plan: Plan,
    learnt: Labelled,
    validation: Labelled,
    log: Path,
    *,
    on_round: Callable[[int, float], None] = lambda _round, _mae: None,
) -> dict[str, float]:
    """Train the network in place; it ends with the weights of the round with the lowest error on `validation`.

    `log` is a CSV file with a line for each round. Returns the number of rounds and the validation MAE in kg/m2.
    """
    rng = np.random.default_rng(plan.seed)
    torch.manual_seed(plan.seed)
    module.to(plan.device)
    module.requires_grad_(not plan.frozen)
    module.heads.requires_grad_(True)
    trainer: _Frozen | _Whole = (_Frozen if plan.frozen else _Whole)(module, plan, learnt, validation, rng)
    optimiser = torch.optim.AdamW(
        [
            {"params": list(module.heads.parameters()), "lr": plan.rate},
            {"params": [] if plan.frozen else trainer.trunk(), "lr": plan.rate / 100},
        ]
    )
    best, since, done = float("inf"), 0, 0
    state: Any = None
    with log.open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["round", "loss", "validation_mae", *asdict(plan)])
        for done in range(1, plan.rounds + 1):
            loss = _round(trainer, optimiser, plan, rng)
            mae = float(np.abs(trainer.validation_estimates() - validation.bmi).mean())
            lines.writerow([done, f"{loss:.4f}", f"{mae:.4f}", *asdict(plan).values()])
            on_round(done, mae)
            if mae < best:
                best, since = mae, 0
                state = {name: value.detach().clone() for name, value in trainer.learning().state_dict().items()}
            else:
                since += 1
                if since >= plan.patience:
                    break
    if state is not None:
        trainer.learning().load_state_dict(state)
    module.eval()
    return {"rounds": float(done), "validation_mae": best}


def _round(trainer: "_Frozen | _Whole", optimiser: Module, plan: Plan, rng: np.random.Generator) -> float:
    order = rng.permutation(trainer.count)
    total = 0.0
    for start in range(0, len(order), plan.batch):
        chosen = order[start : start + plan.batch]
        with torch.autocast(torch.device(plan.device).type, torch.bfloat16, enabled=plan.bf16):
            estimate, bmi = trainer.forward(chosen)
        loss = nn.functional.mse_loss(estimate.float()[:, 0], bmi)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        total += float(loss.detach()) * len(chosen)
    return total / len(order)


class _Frozen:
    """The head alone, on features that are computed once."""

    def __init__(
        self, module: Module, plan: Plan, learnt: Labelled, validation: Labelled, rng: np.random.Generator
    ) -> None:
        self._module, self._plan = module, plan
        faces = (face if copy == 0 else varied(face, rng) for face in learnt.faces() for copy in range(plan.copies))
        head, module.heads = module.heads, nn.Identity()
        module.eval()
        self._features = _outputs(module, faces, plan)
        self._validation = _outputs(module, validation.faces(), plan)
        module.heads = head
        self._bmi = torch.from_numpy(np.repeat(learnt.bmi, plan.copies)).to(plan.device)
        self.count = len(learnt.files) * plan.copies

    def trunk(self) -> list[Any]:
        return []

    def learning(self) -> Module:
        return self._module.heads

    def forward(self, chosen: NDArray[np.int64]) -> tuple[Module, Module]:
        index = torch.from_numpy(chosen).to(self._plan.device)
        self._module.heads.train()
        return self._module.heads(self._features[index]), self._bmi[index]

    def validation_estimates(self) -> Floats32:
        self._module.heads.eval()
        with torch.inference_mode():
            return np.asarray(self._module.heads(self._validation)[:, 0].float().cpu().numpy())


class _Whole:
    """The whole network, on copies that are varied anew in every round."""

    def __init__(
        self, module: Module, plan: Plan, learnt: Labelled, validation: Labelled, rng: np.random.Generator
    ) -> None:
        self._module, self._plan, self._rng = module, plan, rng
        self._learnt, self._validation = learnt, validation
        self.count = len(learnt.files)

    def trunk(self) -> list[Any]:
        return [value for name, value in self._module.named_parameters() if not name.startswith("heads.")]

    def learning(self) -> Module:
        return self._module

    def forward(self, chosen: NDArray[np.int64]) -> tuple[Module, Module]:
        self._module.train()
        faces = network_input([varied(np.load(self._learnt.files[index]), self._rng) for index in chosen])
        bmi = torch.from_numpy(self._learnt.bmi[chosen]).to(self._plan.device)
        return self._module(torch.from_numpy(faces).to(self._plan.device)), bmi

    def validation_estimates(self) -> Floats32:
        self._module.eval()
        return np.asarray(_outputs(self._module, self._validation.faces(), self._plan)[:, 0].float().cpu().numpy())


def _outputs(module: Module, faces: Iterator[Picture], plan: Plan) -> Module:
    parts = []
    with torch.inference_mode(), torch.autocast(torch.device(plan.device).type, torch.bfloat16, enabled=plan.bf16):
        while batch := list(islice(faces, plan.batch)):
            parts.append(module(torch.from_numpy(network_input(batch)).to(plan.device)).float())
    # Tensors of inference mode can't be used in training; copies can.
    return torch.cat(parts).clone()
