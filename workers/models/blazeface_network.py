"""MediaPipe's face detectors as ONNX graphs (Bazarevsky et al. 2019, "BlazeFace", arXiv 1907.05047)."""

from pathlib import Path

from workers.models.tflite_file import TfliteFile
from workers.models.tflite_network import Translation

#: Values of one anchor: x, y, width and height of the box, x and y of six points of the face, and the score.
VALUES = 17


def graph_of(weights: Path) -> bytes:
    """Build the serialised network: `pixels` (1, 3, side, side), RGB from -1 to 1 → (1, anchors, 17), float32.

    Positions are in pixels of the input relative to the anchor; the score is the logit.

    Raises:
        CheckpointUnreadable: the weights are another network's.
    """
    translation = Translation(TfliteFile(weights.read_bytes()))
    places, scores = sorted(translation.file.outputs.values(), key=lambda tensor: -translation.file.shape(tensor)[-1])
    translation.graph.concatenate(2, *(translation.result_of(tensor) for tensor in (places, scores)))
    _, anchors, _ = translation.file.shape(scores)
    return translation.graph.serialise("blazeface", translation.inputs(), [1, anchors, VALUES])
