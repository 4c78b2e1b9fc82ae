"""The corpus: everything hand-made, then mutations of honest clips until there are enough."""

import os
from collections.abc import Iterator
from itertools import chain, islice

from lab.hostile.bombs import bombs
from lab.hostile.mutate import mutations
from lab.hostile.seeds import seeds
from lab.hostile.wrong_formats import strangers


def corpus(files: int | None, seed: int = 1) -> Iterator[tuple[str, bytes]]:
    """`files` names and contents, or without end; the same ones for the same seed and FFmpeg."""
    os.environ.setdefault("SVT_LOG", "1")
    mutated = mutations(seeds(), seed)
    return islice(chain(bombs(), strangers(), mutated), files)
