"""Answer calls of `lab.bench.mediapipe_finder` with MediaPipe's own face mesh and detectors.

Runs in an environment of its own (`tools/oracle.sh`), which has MediaPipe 0.10.21 and nothing of this project. A call
is a line of JSON on the standard input, then the bytes of its picture; an answer is a line of JSON.
"""

import json
import os
import sys
import time
import warnings
from typing import Any

import numpy as np


class MediaPipe:
    """One finder of MediaPipe's solutions: a mesh that follows one face, and both detectors."""

    def __init__(self) -> None:
        import mediapipe

        solutions = mediapipe.solutions
        self._mesh = solutions.face_mesh.FaceMesh(max_num_faces=1, refine_landmarks=True, min_detection_confidence=0.5)
        self._near = solutions.face_detection.FaceDetection(model_selection=0, min_detection_confidence=0.5)
        self._far = solutions.face_detection.FaceDetection(model_selection=1, min_detection_confidence=0.5)

    def reset(self) -> None:
        """Discard the tracking state of the previous clip."""
        self._mesh.reset()

    def mesh(self, rgb: Any) -> list[list[float]] | None:  # noqa: ANN401  (an array)
        """Return the mesh in shares of the picture's width and height."""
        found = self._mesh.process(rgb).multi_face_landmarks
        return [[point.x, point.y] for point in found[0].landmark] if found else None

    def faces(self, rgb: Any) -> list[list[float]]:  # noqa: ANN401  (an array)
        """Return left, top, right, bottom, score, and x and y of both eyes, in shares of width and height."""
        return _boxes(self._near, rgb)

    def distant_faces(self, rgb: Any) -> list[list[float]]:  # noqa: ANN401  (an array)
        """Return the same of the detector with the longer range."""
        return _boxes(self._far, rgb)


def _boxes(detector: Any, rgb: Any) -> list[list[float]]:  # noqa: ANN401  (MediaPipe has no types)
    boxes = []
    for found in detector.process(rgb).detections or ():
        box = found.location_data.relative_bounding_box
        right_eye, left_eye = found.location_data.relative_keypoints[:2]
        ends = [box.xmin, box.ymin, box.xmin + box.width, box.ymin + box.height]
        boxes.append([*ends, found.score[0], right_eye.x, right_eye.y, left_eye.x, left_eye.y])
    return boxes


def resident_mb() -> float:
    """Memory of this process, MB. Linux only."""
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123  (as in the other process)
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def serve() -> None:
    """Answer calls until the input ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    for descriptor in (1, 2):  # MediaPipe logs to both
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    warnings.simplefilter("ignore")
    before_s, before_mb = time.monotonic(), resident_mb()
    finder = MediaPipe()
    black = np.zeros((480, 640, 3), np.uint8)
    for use in (finder.mesh, finder.faces, finder.distant_faces):
        use(black)
    started = {"start_s": time.monotonic() - before_s, "first_mb": resident_mb() - before_mb}
    others: list[MediaPipe] = []
    for line in sys.stdin.buffer:
        call = json.loads(line)
        result: Any = None
        began_s = time.process_time()
        if call["name"] == "start":
            result = started
        elif call["name"] == "further":
            before_mb = resident_mb()
            others.append(MediaPipe())
            for use in (others[-1].mesh, others[-1].faces, others[-1].distant_faces):
                use(black)
            result = resident_mb() - before_mb
        elif call["name"] == "reset":
            finder.reset()
        else:
            height, width = call["shape"]
            data = sys.stdin.buffer.read(height * width * 3)
            rgb = np.frombuffer(data, np.uint8).reshape(height, width, 3)
            began_s = time.process_time()
            result = getattr(finder, call["name"])(rgb)
        answers.write(json.dumps({"result": result, "cpu_s": time.process_time() - began_s}) + "\n")


if __name__ == "__main__":
    serve()
