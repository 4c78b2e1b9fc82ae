"""The corpus: all hand-made files, then mutations of valid clips."""

import os
from collections.abc import Iterator
from itertools import chain, islice

from lab.hostile.bombs import bombs
from lab.hostile.lab_bombs import lab_bombs
from lab.hostile.mutate import mutations
from lab.hostile.seeds import seeds
from lab.hostile.wrong_formats import wrong_formats


def corpus(files: int | None, seed: int = 1) -> Iterator[tuple[str, bytes]]:
    """`files` names and contents, or endlessly for None; the same names and mutations for the same seed."""
    os.environ.setdefault("SVT_LOG", "1")
    mutated = mutations(seeds(), seed)
    return islice(chain(bombs(), lab_bombs(), wrong_formats(), mutated), files)
