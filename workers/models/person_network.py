"""MediaPipe's network that separates a person from the background, as an ONNX graph."""

from pathlib import Path
from typing import Final

from workers.models.tflite_file import TfliteFile
from workers.models.tflite_network import Translation

#: Side of the input and of the result, pixels.
SIDE: Final = 256


def graph_of(weights: Path) -> bytes:
    """Build the serialised network: `pixels` (1, 3, 256, 256), RGB from 0 to 1 → (1, 1, 256, 256), float32.

    The result is the probability that a pixel shows the person.

    Raises:
        CheckpointUnreadable: the weights are another network's.
    """
    translation = Translation(TfliteFile(weights.read_bytes()))
    return translation.graph.serialise("person", translation.inputs(), [1, 1, SIDE, SIDE])
