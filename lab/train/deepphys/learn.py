"""Training of DeepPhys on chunks of clips. It can be stopped and resumed at any step with the same result."""

import csv
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from lab.arrays import Floats32
from lab.data.example import Example
from lab.train.deepphys.network import DROPOUT, DeepPhys, save
from workers.models.deepphys_network import SIDES
from workers.rppg.estimators.deepphys import inputs_of
from workers.rppg.signals.filters import PULSE_BAND_HZ, standardise, to_pulse_wave
from workers.rppg.signals.spectrum import spectrum_of
from workers.rppg.signals.traces import GRID_HZ

Loss = Literal["both", "mse", "pearson"]

#: Weight of the squared error beside the correlation: it sets the scale, and a flat wave where nothing pulses.
_MSE_WEIGHT: Final = 0.15
#: Steps after which one more example is used, so that rendering stays ahead of training.
_STEPS_PER_CLIP: Final = 3
#: Appearance frames for each chunk: the face hardly changes in some seconds.
_APPEARANCES: Final = 2


@dataclass(frozen=True)
class Plan:
    """How to train: the same plan and examples give the same weights on one machine.

    chunk, batch     frames in a chunk, chunks in a step
    every, patience  steps between validations (each with a checkpoint); validations without a gain before it ends
    first            examples used from the beginning; the others are added one by one
    """

    side: int = 36
    steps: int = 3000
    batch: int = 4
    chunk: int = 160
    rate: float = 1e-3
    dropout: tuple[float, float] = DROPOUT
    loss: Loss = "both"
    seed: int = 1
    every: int = 100
    patience: int = 10
    device: str = "cpu"
    bf16: bool = False
    first: int = 60

    def __post_init__(self) -> None:
        if self.chunk % _APPEARANCES:
            raise ValueError(f"a chunk must have a multiple of {_APPEARANCES} frames, not {self.chunk}")

    def known(self, step: int) -> int:
        """Number of examples that may be used at `step`."""
        return self.first + step // _STEPS_PER_CLIP


def train(
    plan: Plan,
    examples: Sequence[Path],
    validation: Sequence[Path],
    folder: Path,
    *,
    start: Path | None = None,
    resume: bool = False,
    wait: Callable[[Path], Path] = lambda path: path,
    on_step: Callable[[int, float], None] = lambda _step, _loss: None,
) -> dict[str, Any]:
    """Train on examples (`lab.data.example` files); `deepphys.pth` gets the weights with the lowest validation error.

    `folder` also gets `log.csv`, and `last.pt` for `resume`. `start` is a checkpoint to begin with. `wait` is called
    for each file before it is read.

    Raises:
        ValueError: `resume` finds a checkpoint of another plan.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(plan.seed)
    network = DeepPhys(plan.side, plan.dropout).to(plan.device).to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(network.parameters(), plan.rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, plan.rate, total_steps=plan.steps + 1, pct_start=0.1)
    step, best, since, seconds = 0, np.inf, 0, 0.0
    last, log = folder / "last.pt", folder / "log.csv"
    if resume and last.is_file():
        held = torch.load(last, map_location=plan.device, weights_only=True)
        if held["plan"] != repr(plan):
            raise ValueError(f"{last} belongs to another plan: {held['plan']}")
        network.load_state_dict(held["network"])
        optimiser.load_state_dict(held["optimiser"])
        schedule.load_state_dict(held["schedule"])
        step, best, since, seconds = held["step"], held["best"], held["since"], held["seconds"]
    else:
        if start is not None:
            held = torch.load(start, map_location=plan.device, weights_only=True)
            network.load_state_dict(held.get("network", held))
        log.write_text("step,seconds,loss,rate,validation_correlation,validation_mae_per_min\n")
    losses: list[float] = []
    begun = time.monotonic() - seconds
    while step < plan.steps and since < plan.patience:
        losses.append(_step(plan, step, network, optimiser, examples, wait))
        schedule.step()
        step += 1
        on_step(step, losses[-1])
        if step % plan.every and step < plan.steps:
            continue
        correlation, mae = validate(network, [wait(path) for path in validation], plan.device)
        if mae < best:
            best, since = mae, 0
            save(network, folder / "deepphys.pth")
        else:
            since += 1
        seconds = time.monotonic() - begun
        with log.open("a", newline="") as file:
            csv.writer(file).writerow(
                [step, round(seconds), round(float(np.mean(losses)), 4), f"{schedule.get_last_lr()[0]:.2e}",
                 round(correlation, 4), round(mae, 3)]
            )  # fmt: skip
        losses = []
        _save_atomically(last, {
            "plan": repr(plan), "network": network.state_dict(), "optimiser": optimiser.state_dict(),
            "schedule": schedule.state_dict(), "step": step, "best": best, "since": since, "seconds": seconds,
        })  # fmt: skip
    return {**asdict(plan), "steps": step, "validation_mae_per_min": round(float(best), 3)}


def _save_atomically(path: Path, held: dict[str, Any]) -> None:
    making = path.with_name(f".{path.name}")
    torch.save(held, making)
    making.replace(path)


def _step(  # noqa: PLR0917
    plan: Plan,
    step: int,
    network: DeepPhys,
    optimiser: Any,  # noqa: ANN401
    examples: Sequence[Path],
    wait: Callable[[Path], Path],
) -> float:
    """One training step. It depends on the plan's seed and the step's number alone, so that runs can be resumed."""
    rng = np.random.default_rng([plan.seed, step])
    torch.manual_seed(int(rng.integers(2**31)))
    known = min(len(examples), plan.known(step))
    chunks = [chunk_of(Example.load(wait(examples[int(rng.integers(known))])), plan, rng) for _ in range(plan.batch)]
    motion, appearances, label = (
        torch.from_numpy(np.concatenate(parts)).to(plan.device) for parts in zip(*chunks, strict=True)
    )
    network.train()
    optimiser.zero_grad()
    with torch.autocast(plan.device, dtype=torch.bfloat16, enabled=plan.bf16):
        answer = network(motion.contiguous(memory_format=torch.channels_last), appearances)
    loss = loss_of(answer.float().view(plan.batch, -1), label.view(plan.batch, -1), plan.loss)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimiser.step()
    return float(loss.detach())


def chunk_of(example: Example, plan: Plan, rng: np.random.Generator) -> tuple[Floats32, Floats32, Floats32]:
    """A random chunk of a clip: motion (chunk, 3, s, s), appearances (2, 3, s, s), derivative (chunk,).

    Half of the chunks are mirrored.

    Raises:
        ValueError: the clip is shorter than a chunk.
    """
    motion, frames = inputs_of(example.crops, plan.side)
    label = derivative_of(example.bvp)
    if len(motion) < plan.chunk:
        raise ValueError(f"an example of {len(motion)} frames is shorter than a chunk of {plan.chunk}")
    start = int(rng.integers(len(motion) - plan.chunk + 1))
    part = slice(start, start + plan.chunk)
    appearances = frames[start + rng.integers(plan.chunk, size=_APPEARANCES)]
    motion, label = motion[part], label[part]
    if rng.random() < 0.5:
        motion, appearances = motion[..., ::-1], appearances[..., ::-1]
    return np.ascontiguousarray(motion), np.ascontiguousarray(appearances), label


def derivative_of(bvp: Floats32) -> Floats32:
    """The training target (n,): differences of the blood volume in standard deviations; 0 without a pulse."""
    change = np.diff(bvp.astype(np.float64), append=float(bvp[-1]))
    return standardise(change).astype(np.float32)


def loss_of(answer: Any, label: Any, loss: Loss) -> Any:  # noqa: ANN401
    """Loss of derivatives `answer` and `label`, both (b, n).

    "mse" is the squared error, "pearson" one minus the correlation of the integrated waves in the pulse's band, "both"
    their weighted sum. Clips without a pulse count in the squared error only.
    """
    total = torch.zeros((), device=answer.device)
    if loss != "pearson":
        total = total + (1.0 if loss == "mse" else _MSE_WEIGHT) * torch.mean((answer - label) ** 2)
    if loss != "mse":
        pulses = label.abs().amax(dim=1) > 0
        if bool(pulses.any()):
            onto = torch.from_numpy(_band(answer.shape[1])).to(answer.device)
            found, true = answer[pulses] @ onto, label[pulses] @ onto
            agreement = (found * true).sum(1) / (found.norm(dim=1) * true.norm(dim=1)).clamp_min(1e-6)
            total = total + (1 - agreement).mean()
    return total


def _band(n: int) -> Floats32:
    """(n, 2k): from a derivative to the cosines and sines of its wave in the pulse's band, through a Hann window."""
    frequencies = np.arange(1, n // 2) * GRID_HZ / n
    inside = frequencies[(frequencies >= PULSE_BAND_HZ[0] * 0.9) & (frequencies <= PULSE_BAND_HZ[1] * 1.3)]
    angles = 2 * np.pi * np.arange(n)[:, None] / GRID_HZ * inside
    weights = np.hanning(n)[:, None] / inside
    return np.concatenate([np.cos(angles) * weights, np.sin(angles) * weights], axis=1).astype(np.float32)


def wave_by(network: DeepPhys, crops: NDArray[np.uint8], device: str = "cpu") -> NDArray[np.float64]:
    """Pulse wave (n,) of crops, as `workers.rppg.estimators.deepphys` computes it from the exported network."""
    side = SIDES[network.final_dense_1.in_features]
    motion, frames = inputs_of(crops, side)
    network.eval()
    with torch.no_grad():
        parts = [
            network(torch.from_numpy(motion[start : start + 128]).to(device), torch.from_numpy(frames[:1]).to(device))
            for start in range(0, len(motion), 128)
        ]
    derivative = torch.cat(parts).cpu().numpy()[:, 0].astype(np.float64)
    return to_pulse_wave(np.cumsum(derivative), GRID_HZ)


def validate(network: DeepPhys, paths: Sequence[Path], device: str) -> tuple[float, float]:
    """Mean correlation with the true waves, and mean error of the rate in /min, over clips with a pulse."""
    correlations, errors = [], []
    for path in paths:
        example = Example.load(path)
        if not example.bvp.any():
            continue
        found, true = wave_by(network, example.crops, device), to_pulse_wave(example.bvp.astype(np.float64), GRID_HZ)
        correlations.append(float(np.mean(found * true)))
        rates = [60 * spectrum_of(wave, GRID_HZ).peak_hz() for wave in (found, true)]
        errors.append(abs(rates[0] - rates[1]))
    return float(np.mean(correlations)), float(np.mean(errors))
