"""Options that the commands of this package share: which clips, and of which people."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from lab.render.clip import RENDERERS
from lab.world.conditions import LIFELESS, LIVING, Conditions, draw, is_judged, world
from lab.world.portraits import Portrait, find_portraits


def add_clip_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that draw clips, and `--jobs`."""
    parser.add_argument("--renderer", choices=tuple(RENDERERS), default="warp")
    parser.add_argument("--strata", nargs="+", choices=tuple(world()["strata"]), default=[*LIVING, *LIFELESS])
    parser.add_argument("--count", type=int, default=1, help="clips of each stratum")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--portraits", type=Path, help="a folder of pictures of people; by default one portrait alone")
    parser.add_argument("--people", choices=("all", "fitted", "judged"), default="all", help="which of the portraits")
    parser.add_argument("--ppg", type=Path, help="recorded pulses (bidmc_01_26.npz); by default synthetic ones alone")
    parser.add_argument("--jobs", type=int, default=1, help="clips at a time")


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


def draws(options: argparse.Namespace, first: int = 0) -> Iterator[tuple[Conditions, Portrait]]:
    """Conditions and portrait of each clip that the options name, one of every stratum at a time.

    A stratum whose skin types no portrait has is left out, with a message.
    """
    portraits = people_of(options)
    by_name = {portrait.name: portrait for portrait in portraits}
    strata = []
    for stratum in options.strata:
        try:
            draw(stratum, options.seed, first, portraits)
        except ValueError as error:
            sys.stderr.write(f"{stratum}: left out, {error}\n")
        else:
            strata.append(stratum)
    for index in range(first, first + options.count):
        for stratum in strata:
            conditions = draw(stratum, options.seed, index, portraits)
            yield conditions, by_name[conditions.portrait]
