"""Shared by the commands that train a network: PyTorch, its device, a progress bar."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.progress import Progress

console = Console(stderr=True)


def torch_or_exit() -> Any:  # noqa: ANN401  (a module)
    """Import PyTorch, or end the command with what is missing."""
    try:
        import torch
    except ImportError as missing:
        console.print("Training needs PyTorch: make train-environment", style="red")
        raise typer.Exit(1) from missing
    return torch


def device_of(torch: Any, device: str) -> str:  # noqa: ANN401  (a module)
    """The device by PyTorch's name; `auto` takes a GPU that it sees."""
    return ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device


def failed(error: Exception) -> typer.Exit:
    """Print what went wrong; returns how the command ends."""
    console.print(str(error), style="red", markup=False, highlight=False)
    return typer.Exit(1)


@contextmanager
def training_progress(
    total: int, *reasons: type[Exception]
) -> Iterator[tuple[Callable[[int, str], None], Callable[[str], None]]]:
    """Show a bar of `total` steps: one function sets step and label, the other prints a line above it.

    A ValueError, or one of `reasons`, ends the command with its message.
    """
    caught: tuple[type[Exception], ...] = (ValueError, *reasons)
    with Progress(console=console) as progress:
        task = progress.add_task("training", total=total)
        try:
            yield (
                lambda step, label: progress.update(task, completed=step, description=label),
                lambda line: progress.console.print(line, markup=False, highlight=False),
            )
        except caught as error:
            raise failed(error) from error
