"""`facevitals train bmi`: a network that estimates the BMI from a face."""

import json
from pathlib import Path
from typing import Annotated, Final

import typer

from facevitals.cli.training_options import console, device_of, failed, torch_or_exit, training_progress
from shared.settings import settings

#: Backbones by name, and their files at torchvision. Nothing is downloaded automatically.
_AT: Final = "https://download.pytorch.org/models"
_BACKBONES: Final = {
    "vit_h_14": "vit_h_14_swag-80465313.pth",
    "vit_l_16": "vit_l_16_swag-4f3808c9.pth",
    "vit_b_16": "vit_b_16_swag-9ac1b537.pth",
}


def bmi(
    data: Annotated[
        Path, typer.Option(help="Table: file, bmi (or height_cm, weight_kg), gender and person where known.")
    ],
    images: Annotated[Path, typer.Option(help="Folder of the pictures that the table names.")],
    backbone: Annotated[
        str, typer.Option(help=f"{', '.join(_BACKBONES)}, or a file of a torchvision ViT.")
    ] = "vit_h_14",
    out: Annotated[Path, typer.Option(help="Folder of weights, card, log, report and cache.")] = Path("artefacts/bmi"),
    frozen: Annotated[bool, typer.Option(help="Train the head alone (as the original), or all.")] = True,
    side: Annotated[int | None, typer.Option(help="Side of the pictures; without, the backbone's.")] = None,
    attention_heads: Annotated[int | None, typer.Option(help="For a ViT that is not torchvision's B, L or H.")] = None,
    crop: Annotated[float, typer.Option(help="Side of the crop, in sides of the face's box.", min=0.8)] = 1.4,
    copies: Annotated[int, typer.Option(help="With --frozen: varied copies of each face.", min=1)] = 5,
    rounds: Annotated[int, typer.Option(help="Rounds at most.", min=1)] = 50,
    patience: Annotated[int, typer.Option(help="Rounds without a gain after which it ends.", min=1)] = 5,
    batch: Annotated[int, typer.Option(help="Faces a step.", min=1)] = 16,
    rate: Annotated[float, typer.Option(help="The head's learning rate; the backbone's is a hundredth.")] = 1e-3,
    seed: Annotated[int, typer.Option(help="The same seed gives the same weights on the same machine.")] = 1,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto.")] = "auto",
    bf16: Annotated[bool | None, typer.Option(help="Mixed precision; by default on CUDA alone.")] = None,
    threads: Annotated[int, typer.Option(help="Threads of the training on the CPU.", min=1)] = 1,
) -> None:
    """Train a ViT that estimates the BMI from a face, on labelled pictures of yours."""
    where = device_of(torch_or_exit(), device)
    from lab.train.bmi.command import run
    from lab.train.bmi.learn import Plan
    from lab.train.bmi.people import read_table
    from workers.models.checkpoint import CheckpointUnreadable
    from workers.models.vit import BmiCard

    models_path = settings().models_path
    weights = models_path / _BACKBONES[backbone] if backbone in _BACKBONES else Path(backbone)
    if not weights.is_file():
        got = f"curl -o {weights} {_AT}/{weights.name}"
        hint = f"; get it with: {got}" if backbone in _BACKBONES else ""
        raise failed(ValueError(f"there is no {weights}{hint}"))
    plan = Plan(
        frozen=frozen, copies=copies, rounds=rounds, patience=patience, batch=batch, rate=rate, seed=seed,
        device=where, bf16=where == "cuda" if bf16 is None else bf16,
    )  # fmt: skip
    card = BmiCard(side=side, attention_heads=attention_heads, crop=crop, trained_on=data.name)
    with training_progress(rounds, CheckpointUnreadable) as (show, log_line):
        report = run(
            read_table(data, images), weights, out, card, plan, threads=threads,
            on_round=lambda done, mae: show(done, f"{mae:.2f} kg/m2 off"), log_line=log_line,
        )  # fmt: skip
    console.print(f"{out}/bmi.pth and {out}/bmi.json: put them, and the backbone they name, into {models_path}")
    print(json.dumps(report))
