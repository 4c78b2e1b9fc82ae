"""`facevitals train …`: the project's own networks, trained and measured; needs PyTorch (`make train-environment`)."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from shared.logs import silence_native_stderr

console = Console(stderr=True)
app = typer.Typer(
    help="Train the project's own networks on your data, and measure them. Training needs PyTorch: "
    "`make train-environment`; the last line printed is one JSON object.",
    no_args_is_help=True,
)

#: A folder of recordings: UBFC-rPPG, PURE, or clips of `facevitals simulate`; which of them is seen from its files.
Data = Annotated[Path, typer.Option("--data", help="Folder in the layout of UBFC-rPPG, PURE or `simulate`.")]


def deepphys(data: Data) -> None:
    """DeepPhys, from recordings with a pulse beside them."""
    silence_native_stderr()
    raise typer.Exit(_said(f"Training on {data} is not in this build."))


def test(data: Data) -> None:
    """How far a network, or any other estimator, is from the pulse recorded beside the clips."""
    silence_native_stderr()
    raise typer.Exit(_said(f"Measuring on {data} is not in this build."))


def _said(message: str) -> int:
    console.print(message, style="red", markup=False, highlight=False)
    print(json.dumps({"error": message}))
    return 1


#: What can be trained and measured: a new one is a function, and its name here.
COMMANDS: Final[tuple[Callable[..., None], ...]] = (deepphys, test)
for command in COMMANDS:
    app.command()(command)
