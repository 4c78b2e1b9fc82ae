"""Options of the world's commands that name its people: portraits, and recorded pulses."""

import argparse
from pathlib import Path

from lab.world.conditions import is_judged
from lab.world.portraits import Portrait, find_portraits


def add_people_options(parser: argparse.ArgumentParser) -> None:
    """Add `--portraits`, `--people` and `--ppg`."""
    parser.add_argument("--portraits", type=Path, help="a folder of pictures of people; by default one portrait alone")
    parser.add_argument("--people", choices=("all", "fitted", "judged"), default="all", help="which of the portraits")
    parser.add_argument("--ppg", type=Path, help="recorded pulses (bidmc_01_26.npz); by default synthetic ones alone")


def people_of(options: argparse.Namespace) -> list[Portrait]:
    """The portraits that the options name: all, those that are fitted on, or those that are judged on.

    Raises:
        ValueError: there are none.
    """
    which: str = options.people
    found = [
        portrait
        for portrait in find_portraits(options.portraits)
        if which == "all" or is_judged(portrait.name) == (which == "judged")
    ]
    if not found:
        raise ValueError(f"no portrait is among those that are {which}")
    return found
