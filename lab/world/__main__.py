"""`python -m lab.world`: render clips of the world into a folder, each with its truth beside it.

    python -m lab.world --renderer warp --strata still motion --count 10 --seed 7 --portraits FACES --ppg BIDMC --out DIR
"""

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from lab.world.clip import write_clip
from lab.world.conditions import LIFELESS, LIVING, draw, is_judged, world
from lab.world.portraits import Portrait, find_portraits


def main(arguments: Sequence[str] | None = None) -> int:
    """Render the clips; print each file's name."""
    parser = argparse.ArgumentParser(prog="python -m lab.world", description=__doc__.splitlines()[0])
    parser.add_argument("--renderer", choices=("warp", "head3d"), default="warp")
    parser.add_argument("--strata", nargs="+", choices=tuple(world()["strata"]), default=[*LIVING, *LIFELESS])
    parser.add_argument("--count", type=int, default=1, help="clips of each stratum")
    parser.add_argument("--first", type=int, default=0, help="index of the first clip of each stratum")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--portraits", type=Path, help="a folder of pictures of people; by default one portrait alone")
    parser.add_argument("--people", choices=("all", "fitted", "judged"), default="all")
    parser.add_argument("--ppg", type=Path, help="recorded pulses (bidmc_01_26.npz); by default synthetic ones alone")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    portraits = people(find_portraits(options.portraits), options.people)
    by_name = {portrait.name: portrait for portrait in portraits}
    failed = 0
    with ProcessPoolExecutor(options.jobs) as pool:
        work = {}
        for stratum in options.strata:
            for index in range(options.first, options.first + options.count):
                conditions = draw(stratum, options.seed, index, portraits)
                portrait = by_name[conditions.portrait]
                job = pool.submit(write_clip, options.out, options.renderer, conditions, portrait, options.ppg)
                work[job] = f"{stratum} {index} {conditions.portrait}"
        for job in as_completed(work):
            try:
                sys.stdout.write(f"{job.result().path}\n")
            except ValueError as error:
                failed += 1
                sys.stderr.write(f"{work[job]}: {error}\n")
    return 1 if failed else 0


def people(portraits: Sequence[Portrait], which: str) -> list[Portrait]:
    """The portraits that are "fitted" on, those that are "judged" on, or "all"."""
    return [portrait for portrait in portraits if which == "all" or is_judged(portrait.name) == (which == "judged")]


if __name__ == "__main__":
    sys.exit(main())
