"""`facevitals train bmi`: a table of pictures in; `bmi.pth`, `bmi.json` and a report out."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lab.train.bmi.evaluate import interval_90, report_of
from lab.train.bmi.face_pictures import face_squares
from lab.train.bmi.learn import Labelled, Plan, head_of, train, with_new_head
from lab.train.bmi.people import Face, Part
from workers.models.vit import BmiCard, open_vit
from workers.vision.bmi.vit_predictor import network_input


def run(
    faces: Sequence[Face],
    backbone: Path,
    folder: Path,
    card: BmiCard,
    plan: Plan,
    *,
    threads: int = 1,
    on_round: Callable[[int, float], None] = lambda _round, _mae: None,
    log_line: Callable[[str], None] = lambda _line: None,
) -> dict[str, Any]:
    """Train on some of the people in `faces`, and measure on those held out; returns the figures and the files' paths.

    The measurement reads the written files as a worker does.

    Raises:
        ValueError: too few faces are left for a part.
        CheckpointUnreadable: the backbone is not a ViT of torchvision.
    """
    torch.set_num_threads(threads)
    folder.mkdir(parents=True, exist_ok=True)
    constant = float(np.mean([face.bmi for face in faces if face.part == "train"] or [0.0]))
    module, side, _ = with_new_head(backbone, card, constant, plan.seed)
    found: dict[Part, list[tuple[Face, Path]]] = {"train": [], "validation": [], "test": []}
    for face, file in face_squares(faces, side, card.crop, folder / "cache"):
        if file is None:
            log_line(f"{face.picture.name} is left out: no face is found on it")
            continue
        found[face.part].append((face, file))
    for part, squares in found.items():
        if len(squares) < 2:
            raise ValueError(f"{len(squares)} faces are left for {part}: the table is too small")
    log_line(", ".join(f"{len(squares)} faces for {part}" for part, squares in found.items()))
    summary = train(
        module, plan, _labelled(found["train"]), _labelled(found["validation"]), folder / "log.csv", on_round=on_round
    )
    weights = folder / "bmi.pth"
    card = replace(card, side=side, backbone=backbone.name if plan.frozen else "")
    if plan.frozen:
        torch.save(head_of(module), weights)
        _beside(folder, backbone)
    else:
        trunk = {name: value.cpu() for name, value in module.state_dict().items() if not name.startswith("heads.")}
        torch.save(trunk | head_of(module), weights)
    _write(card, weights)
    del module
    network = open_vit(weights, threads, "cuda" if plan.device.startswith("cuda") else "cpu")
    people = [face for face, _ in found["test"]]
    true = np.array([face.bmi for face in people], np.float32)
    read = np.concatenate([network(network_input([np.load(file)])) for _, file in found["test"]])
    report = report_of(read, people, constant)
    count = len({face.person for face in people})
    _write(
        replace(
            card, mae=round(float(np.abs(read - true).mean()), 3), people=count, interval_90=interval_90(read, true)
        ),
        weights,
    )
    report.write(folder)
    log_line(report.markdown)
    return {"weights": str(weights), **summary, "groups": report.summary}


def _labelled(squares: Sequence[tuple[Face, Path]]) -> Labelled:
    return Labelled([file for _, file in squares], np.array([face.bmi for face, _ in squares], np.float32))


def _beside(folder: Path, backbone: Path) -> None:
    """Link the backbone beside the head's file, where workers look for it."""
    link = folder / backbone.name
    if link.resolve() != backbone.resolve():
        link.unlink(missing_ok=True)
        link.symlink_to(backbone.resolve())


def _write(card: BmiCard, weights: Path) -> None:
    weights.with_suffix(".json").write_text(json.dumps(asdict(card), indent=2) + "\n")
