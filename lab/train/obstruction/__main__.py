"""`python -m lab.train.obstruction FACES`: train the network of `workers.face.obstruction_check` on portraits.

FACES is a folder as `lab.data.labelled_portraits` reads it. Objects are drawn over the portraits
(`lab.data.occluded_portraits`), and the network learns where they are. Two of every four portraits are held out:
`python -m lab.bench.obstruction_report` measures on those. Needs PyTorch (`make train-environment`).
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from lab.data.labelled_portraits import load_portraits
from lab.data.occluded_portraits import is_held_out, occluded
from lab.train.obstruction.learn import train
from lab.train.obstruction.network import graph_of
from workers.face.occlusion_input import WEIGHTS, network_input


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw, train, write the network."""
    parser = argparse.ArgumentParser(prog="python -m lab.train.obstruction", description=__doc__)
    parser.add_argument("faces", type=Path)
    parser.add_argument("--epochs", type=int, default=32)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    portraits, _, _ = load_portraits(options.faces)
    chosen = [(index, portrait) for index, portrait in enumerate(portraits) if not is_held_out(index)]
    pictures, masks = occluded(chosen)
    options.out.write_bytes(graph_of(train(network_input(pictures), np.stack(masks), options.epochs)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
