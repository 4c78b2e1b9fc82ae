"""`python -m lab.bench.face_mesh`: the product's face finder beside MediaPipe 0.10.21, on the same clips.

Needs the environment that `bash tools/oracle.sh` makes. Prints a line for each clip, a table by group of clips and
what both finders cost, and writes the table to `--out`.
"""

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lab.bench.mediapipe_finder import MediaPipeFinder
from lab.bench.mediapipe_server import resident_mb
from lab.bench.mesh_clips import SECONDS, MeshClip, mesh_clips
from lab.bench.two_lines import two_lines
from lab.report import Report
from lab.simulate.portrait import read_picture
from shared.settings import models_folder
from workers.face.mesh import FaceFinder, Finder
from workers.face.skin_regions import SKIN
from workers.face.tracker import FaceTrack, FaceTracker
from workers.liveness.cues.blinks import count_blinks
from workers.media.clip import Frame, open_clip
from workers.models.build import model_file
from workers.models.session import Network, open_network
from workers.rppg.signals.traces import NoTraces, traces_of
from workers.vision.age_gender.agegender_predictor import predict

#: One mesh is measured in this many frames.
_STEP: Final = 2
#: The outermost points of the mesh at the subject's left and right.
_LEFT, _RIGHT = 454, 234

Pair = tuple[float | None, float | None]


class Moved:
    """MediaPipe on pictures that are moved by a pixel: how far its own meshes differ for no reason."""

    networks: Mapping[str, Network] = {}

    def __init__(self, finder: MediaPipeFinder) -> None:
        self._finder = finder
        self.reset, self.faces, self.distant_faces = finder.reset, finder.faces, finder.distant_faces

    def mesh(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """Return the mesh (478, 2) in pixels of `rgb` (h, w, 3), or None where no face is detected."""
        mesh = self._finder.mesh(np.roll(rgb, 1, axis=1))
        return None if mesh is None else mesh - np.array([1, 0], np.float32)


@dataclass
class Meshes:
    """Meshes of both finders in one clip, frame by frame.

    apart        (n, 478) distance of each landmark in face widths, in the n frames where both have a mesh
    skin         (n, 2) mean difference (x, y), ours less MediaPipe's, of the landmarks around the skin, in face widths
    lost, gained  frames with a mesh of MediaPipe's alone, and of ours alone
    cpu_s        processor time of both finders;  frames  number of measured frames
    """

    apart: NDArray[np.float64]
    skin: NDArray[np.float64]
    lost: int
    gained: int
    cpu_s: tuple[float, float]
    frames: int


@dataclass
class Effects:
    """What follows from both finders' meshes in one clip: ours, then MediaPipe's.

    colour  relative difference of the skin's mean colour;  others are None where they can't be measured
    """

    colour: float
    faces: Pair
    blinks: Pair
    covered: Pair
    age: Pair
    rate: Pair


def compare_meshes(frames: Sequence[Frame], ours: Finder, theirs: MediaPipeFinder) -> Meshes:
    """Measure a mesh with both finders in every second frame."""
    ours.reset()
    theirs.reset()
    apart, skin, counts, cpu_s = [], [], [0, 0], [0.0, 0.0]
    for frame in frames[::_STEP]:
        began_s = time.process_time()
        mesh = ours.mesh(frame.rgb)
        cpu_s[0] += time.process_time() - began_s
        other = theirs.mesh(frame.rgb)
        cpu_s[1] += theirs.cpu_s
        if mesh is None or other is None:
            counts[0] += mesh is None and other is not None
            counts[1] += mesh is not None and other is None
            continue
        difference = (mesh - other) / np.hypot(*(other[_LEFT] - other[_RIGHT]))
        apart.append(np.hypot(*difference.T))
        skin.append(difference[SKIN].mean(axis=0))
    return Meshes(
        np.array(apart).reshape(-1, 478),
        np.array(skin).reshape(-1, 2),
        counts[0],
        counts[1],
        (cpu_s[0], cpu_s[1]),
        len(frames[::_STEP]),
    )


def compare_tracks(frames: Sequence[Frame], trackers: Sequence[FaceTracker], age_network: Network | None) -> Effects:
    """Follow the face with both finders, as in a worker."""
    first, second = (tracker.track(frames) for tracker in trackers)
    colours = first.regions[:, 0] / second.regions[:, 0]

    def pair(measure: Callable[[FaceTrack], float | None]) -> Pair:
        return measure(first), measure(second)

    return Effects(
        colour=float(np.nanmedian(np.abs(colours - 1))) if np.isfinite(colours).any() else np.nan,
        faces=pair(lambda track: float(np.max(track.faces, initial=0))),
        blinks=pair(lambda track: count_blinks(track.eyes)),
        covered=pair(lambda track: track.checks["obstruction"].score),
        age=pair(lambda track: _age(track, age_network)),
        rate=pair(rule_of_two_lines),
    )


def rule_of_two_lines(track: FaceTrack) -> float | None:
    """Heart rate by the two lines (`lab.bench.two_lines`), /min; None where they abstain."""
    try:
        traces = traces_of(track)
    except NoTraces:
        return None
    return two_lines(traces.face, traces.fs).rate_per_min()


def _age(track: FaceTrack, network: Network | None) -> float | None:
    if network is None or not track.portraits:
        return None
    return float(np.median(predict(track.portraits, network)[:, 0]))


def ms_alone(finder: Finder) -> float:
    """Processor time of a mesh, ms, where nothing else uses the processor's caches: 300 of one portrait."""
    picture = read_picture(None)
    own = finder if isinstance(finder, MediaPipeFinder) else None
    total_s = 0.0
    for _ in range(300):
        began_s = time.process_time()
        finder.mesh(picture)
        total_s += own.cpu_s if own else time.process_time() - began_s
    return 1e3 * total_s / 300


def finder_cost(send: Any) -> None:  # noqa: ANN401  (a multiprocessing pipe)
    """Send the seconds until a first finder answers, the memory of it and of a further one, MB, and `ms_alone`."""
    black = np.zeros((480, 640, 3), np.uint8)
    finders: list[FaceFinder] = []

    def another() -> tuple[float, float]:
        before_s, before_mb = time.monotonic(), resident_mb()
        finders.append(FaceFinder())
        for use in (finders[-1].mesh, finders[-1].faces, finders[-1].distant_faces):
            use(black)
        return time.monotonic() - before_s, resident_mb() - before_mb

    import onnxruntime  # noqa: F401  (a worker has loaded it)

    (start_s, first_mb), (_, further_mb) = another(), another()
    send.send((start_s, first_mb, further_mb, ms_alone(finders[0])))


def _frames(clip: MeshClip) -> list[Frame]:
    with open_clip(clip.path) as opened:
        frames = []
        for frame in opened.frames():
            if frame.time_s > SECONDS:
                break
            frames.append(Frame(frame.index, frame.time_s, clip.change(frame.rgb), frame.is_keyframe))
        return frames


#: A clip, its meshes of both finders, MediaPipe's beside themselves, and what follows from those of both finders.
Row = tuple[MeshClip, Meshes, Meshes, Effects]


def report_of(rows: Sequence[Row]) -> Report:
    """Return the table: a measure in each row, a group of clips in each column, and all of them in the last."""
    groups = [*dict.fromkeys(row[0].group for row in rows), "all"]
    columns = []
    for group in groups:
        chosen = [row for row in rows if group in {row[0].group, "all"}]
        columns.append(
            {"clips": len(chosen)} | _totals(*(list(part) for part in zip(*(row[1:] for row in chosen), strict=True)))
        )
    report = Report("face-mesh", "The face mesh beside MediaPipe's", ("", *groups))
    for measure in columns[0]:
        report.add(measure, *(column[measure] for column in columns))
    return report


def _totals(meshes: Sequence[Meshes], moved: Sequence[Meshes], effects: Sequence[Effects]) -> dict[str, Any]:
    apart, own = (100 * np.concatenate([one.apart for one in kind]) for kind in (meshes, moved))
    skin = 100 * np.concatenate([one.skin for one in meshes])
    frames = sum(one.frames for one in meshes)
    rates = [effect.rate for effect in effects]
    alone = [sum(pair[one] is not None and pair[1 - one] is None for pair in rates) for one in (0, 1)]
    return {
        "landmarks apart, median, % of the face's width": float(np.median(apart)),
        "landmarks apart, 95 %": float(np.percentile(apart, 95)),
        "the same of MediaPipe beside itself, median": float(np.median(own)),
        "MediaPipe beside itself, 95 %": float(np.percentile(own, 95)),
        "skin, mean difference x and y, %": "{:+.4f}, {:+.4f}".format(*skin.mean(axis=0)),
        "skin's colour, median difference, %": 100 * float(np.nanmedian([effect.colour for effect in effects])),
        "frames": frames,
        "frames with our mesh alone": sum(one.gained for one in meshes),
        "frames with MediaPipe's mesh alone": sum(one.lost for one in meshes),
        "clips with another number of faces": sum(effect.faces[0] != effect.faces[1] for effect in effects),
        "clips with another number of blinks": sum(effect.blinks[0] != effect.blinks[1] for effect in effects),
        "obstruction's score, largest difference": _largest([effect.covered for effect in effects]),
        "age, largest difference, years": _largest([effect.age for effect in effects]),
        "rates of the two-line rule with both": sum(None not in pair for pair in rates),
        "rates with ours alone": alone[0],
        "rates with MediaPipe's alone": alone[1],
        "rate, largest difference, /min": _largest(rates),
        "processor time a frame, ms": 1e3 * sum(one.cpu_s[0] for one in meshes) / frames,
        "processor time a frame, MediaPipe, ms": 1e3 * sum(one.cpu_s[1] for one in meshes) / frames,
    }


def _largest(pairs: Sequence[Pair]) -> float:
    return max((abs(ours - theirs) for ours, theirs in pairs if ours is not None and theirs is not None), default=0.0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare and print."""
    parser = argparse.ArgumentParser(prog="python -m lab.bench.face_mesh", description=__doc__)
    parser.add_argument("--real", type=Path, help="folder of recordings, with hard ones in its folder `hard`")
    parser.add_argument("--faces", type=Path, help="folder of portraits")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("bench-out"))
    options = parser.parse_args(arguments)

    receive, send = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=finder_cost, args=(send,))
    process.start()
    start_s, first_mb, further_mb, alone_ms = receive.recv()
    process.join()

    ours, theirs, again = FaceFinder(), MediaPipeFinder(), MediaPipeFinder()
    trackers = [FaceTracker(finder=finder) for finder in (FaceFinder(), theirs)]
    age_network = open_network(model_file("agegender", models_folder()), 1)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for clip in mesh_clips(Path(folder), options.real, options.faces, options.seed):
            frames = _frames(clip)
            meshes, moved = (compare_meshes(frames, finder, theirs) for finder in (ours, Moved(again)))
            rows.append((clip, meshes, moved, compare_tracks(frames, trackers, age_network)))
            apart = f"{100 * np.median(meshes.apart):.3f} %" if len(meshes.apart) else "no mesh"
            _print(f"{clip.group}: {clip.name}: {apart}, lost {meshes.lost}, gained {meshes.gained}, {rows[-1][3]}")
    report = report_of(rows)
    started = theirs.start()
    report.notes += [
        f"Start to the first answer of each network: {start_s:.2f} s, MediaPipe {started['start_s']:.2f} s. "
        f"Memory of the first finder: {first_mb:.0f} MB, MediaPipe {started['first_mb']:.0f} MB; of a further one: "
        f"{further_mb:.1f} MB, MediaPipe {theirs.further_mb():.0f} MB. Processor time of a mesh, each finder alone: "
        f"{alone_ms:.2f} ms, MediaPipe {ms_alone(theirs):.2f} ms.",
    ]
    for finder in (theirs, again):
        finder.close()
    _print(report.markdown)
    report.write(options.out)
    return 0


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
