"""`python -m lab.render`: render clips of the world into a folder, each with its truth beside it.

python -m lab.render --renderer warp --strata still motion --count 10 --seed 7 --portraits FACES --ppg BIDMC --out DIR
"""

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from lab.render.clip import write_clip
from lab.render.options import add_clip_options, draws


def main(arguments: Sequence[str] | None = None) -> int:
    """Render the clips; print each file's name."""
    parser = argparse.ArgumentParser(prog="python -m lab.render", description=__doc__.splitlines()[0])
    parser.add_argument("--first", type=int, default=0, help="index of the first clip of each stratum")
    add_clip_options(parser)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    failed = 0
    with ProcessPoolExecutor(options.jobs, get_context("spawn")) as pool:
        work = {}
        for conditions, portrait in draws(options, options.first):
            job = pool.submit(write_clip, options.out, options.renderer, conditions, portrait, options.ppg)
            work[job] = f"{conditions.stratum} {conditions.index} {conditions.portrait}"
        for job in as_completed(work):
            try:
                sys.stdout.write(f"{job.result().path}\n")
            except ValueError as error:
                failed += 1
                sys.stderr.write(f"{work[job]}: {error}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
