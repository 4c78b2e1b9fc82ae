"""MediaPipe 0.10.21 as a face finder, in a process of its own: the reference for the product's face finder."""

import json
import math
import subprocess
from pathlib import Path
from typing import IO, Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from workers.face.detector import FaceBox
from workers.face.mesh import shrink
from workers.models.session import Network

#: Interpreter of the environment that `tools/oracle.sh` makes.
INTERPRETER: Final = Path(__file__).parents[2] / ".venv-oracle" / "bin" / "python"
_SERVER: Final = Path(__file__).with_name("mediapipe_server.py")


class MediaPipeFinder:
    """The interface of `workers.face.mesh.Finder`, answered by MediaPipe. Close it at the end.

    Raises:
        FileNotFoundError: its environment is missing; `bash tools/oracle.sh` makes it.
    """

    networks: dict[str, Network] = {}  # noqa: RUF012  (of the interface)

    def __init__(self, interpreter: Path = INTERPRETER) -> None:
        self._process = subprocess.Popen([interpreter, _SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._calls, self._answers = (cast("IO[bytes]", pipe) for pipe in (self._process.stdin, self._process.stdout))
        #: Processor time of the last call, seconds.
        self.cpu_s = 0.0

    def reset(self) -> None:
        """Discard the tracking state of the previous clip."""
        self._call("reset")

    def mesh(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """Return the mesh (478, 2) in pixels of `rgb` (h, w, 3), or None where no face is detected."""
        found = self._call("mesh", rgb)
        return None if found is None else np.array(found, np.float32) * np.array(rgb.shape[1::-1], np.float32)

    def faces(self, rgb: NDArray[np.uint8]) -> tuple[FaceBox, ...]:
        """Return the faces in `rgb` (h, w, 3) within about two metres."""
        return self._boxes("faces", rgb)

    def distant_faces(self, rgb: NDArray[np.uint8]) -> tuple[FaceBox, ...]:
        """Return the faces in `rgb` (h, w, 3) within about five metres."""
        return self._boxes("distant_faces", rgb)

    def start(self) -> dict[str, float]:
        """Return the seconds to the first answer of each network (`start_s`), and the memory taken (`first_mb`)."""
        started: dict[str, float] = self._call("start")
        return started

    def further_mb(self) -> float:
        """Make one more finder in the process, and return the memory that it takes, MB."""
        return float(self._call("further"))

    def close(self) -> None:
        """End the process."""
        self._calls.close()
        self._process.wait()
        self._answers.close()

    def _boxes(self, name: str, rgb: NDArray[np.uint8]) -> tuple[FaceBox, ...]:
        height, width = rgb.shape[:2]
        boxes = []
        for left, top, right, bottom, score, *eyes in self._call(name, rgb):
            roll = math.degrees(math.atan2((eyes[3] - eyes[1]) * height, (eyes[2] - eyes[0]) * width))
            boxes.append(FaceBox(left * width, top * height, right * width, bottom * height, score, roll))
        return tuple(boxes)

    def _call(self, name: str, rgb: NDArray[np.uint8] | None = None) -> Any:  # noqa: ANN401  (JSON)
        small = None if rgb is None else shrink(rgb)[0]
        call = {"name": name, "shape": None if small is None else small.shape[:2]}
        self._calls.write(json.dumps(call).encode() + b"\n")
        if small is not None:
            self._calls.write(small.tobytes())
        self._calls.flush()
        line = self._answers.readline()
        if not line:
            msg = f"MediaPipe's process ended with {self._process.wait()}"
            raise RuntimeError(msg)
        answer = json.loads(line)
        self.cpu_s = answer["cpu_s"]
        return answer["result"]
