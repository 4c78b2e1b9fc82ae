"""Kept clips of the world (`python -m lab.render.measured`) as training examples: the crops, and the pulse shown."""

from pathlib import Path
from typing import Final

import numpy as np

from lab.data.example import Example
from lab.data.fingerprint import fingerprint
from lab.render.measured import load
from lab.world.conditions import Conditions, is_judged
from lab.world.pulse import pulse_of

#: Fewest frames of an example: shorter stretches with a face hold hardly a chunk.
_MIN_FRAMES: Final = 160


def kept_examples(folder: Path, waves: Path | None, cache: Path, held_out_every: int) -> tuple[list[Path], list[Path]]:
    """Return the files of the examples in a folder of kept clips, to train on and to validate on, by people.

    The pulse is drawn again from the clip's conditions; it is 0 in clips without one. People that are judged on, and
    clips in which no face is seen for long enough, are left out. Every `held_out_every`-th person is validated on.

    Args:
        folder: of kept clips.
        waves: the recorded pulses that the clips were rendered with, or None.
        cache: folder for the examples' files.
        held_out_every: at least 2.
    """
    by_person: dict[str, list[Path]] = {}
    for file in sorted(folder.glob("*.truth.json")):
        kept = load(file)
        conditions = Conditions(**kept.truth["conditions"])
        traces = kept.traces
        if traces is None or len(traces.times_s) < _MIN_FRAMES or is_judged(conditions.portrait):
            continue
        path = cache / f"{fingerprint(kept.name, file.with_name(f'{kept.name}.npz'), waves)}.npz"
        if not path.is_file():
            alive = bool(kept.truth["alive"])
            bvp = pulse_of(conditions, waves).at(traces.times_s) if alive else np.zeros(len(traces.times_s))
            Example(np.asarray(traces.crops, np.uint8), bvp.astype(np.float32)).save(path)
        by_person.setdefault(conditions.portrait, []).append(path)
    training: list[Path] = []
    validation: list[Path] = []
    for index, person in enumerate(sorted(by_person)):
        chosen = validation if index % held_out_every == held_out_every - 1 else training
        chosen += by_person[person]
    return training, validation
