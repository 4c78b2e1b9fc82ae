"""What the simulator promises of a clip, checked on the encoded file."""

import hashlib
from pathlib import Path

import av
import numpy as np

from lab.simulate import ClipSpec, simulate

SMALL = ClipSpec(width=320, height=240, duration_s=2.0, bitrate_bps=600_000)


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    hashes = set()
    for name in ("first.mp4", "second.mp4"):
        simulate(tmp_path / name, SMALL)
        hashes.add(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert len(hashes) == 1


def test_the_file_holds_the_frames_of_its_truth(tmp_path: Path) -> None:
    truth = simulate(tmp_path / "clip.mp4", SMALL)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        times = [float(frame.time) for frame in container.decode(video=0)]
    assert np.allclose(times, truth.frame_times_s, atol=1e-3)
    assert truth.heart_rate is not None
    assert abs(truth.heart_rate - 72) < 8
