"""MediaPipe's face mesh with attention as an ONNX graph (Grishchenko et al. 2020, arXiv 2006.10962)."""

from pathlib import Path
from typing import Final

import numpy as np

from workers.models.checkpoint import CheckpointUnreadable
from workers.models.tflite_file import TfliteFile
from workers.models.tflite_network import Translation

#: Number of points: 468 of the surface, and five of each iris.
POINTS: Final = 478
_SURFACE: Final = 468
#: Outputs that refine points of the surface, in the order of the network's crops, and those that add to it.
_REFINED: Final = ("output_lips", "output_left_eye", "output_right_eye")
_ADDED: Final = ("output_left_iris", "output_right_iris")


def graph_of(weights: Path) -> bytes:
    """Build the serialised network: `pixels` (1, 3, 192, 192), RGB from 0 to 1 → (957,), float32.

    The result is x and y of the 478 points in pixels of the input, then the logit of the presence of a face. Points of
    the lips and of the eyes are the refined ones.

    Raises:
        CheckpointUnreadable: the weights are another network's.
    """
    translation = Translation(TfliteFile(weights.read_bytes()))
    graph, crops = translation.graph, translation.crops
    # For each point, its place among the points of all outputs.
    places = np.concatenate([np.arange(_SURFACE), np.zeros(POINTS - _SURFACE, np.int64)])
    try:
        surface = graph.node("Reshape", translation.result("output_mesh_identity"), np.array([_SURFACE, 3]))
        points = [graph.node("Slice", surface, np.array([0]), np.array([2]), np.array([1]))]
        count = _SURFACE
        for name, crop in zip(_REFINED, crops, strict=True):
            places[crop["subset_idxs"]] = count + np.arange(len(crop["subset_idxs"]))
            points.append(graph.node("Reshape", translation.result(name), np.array([-1, 2])))
            count += len(crop["subset_idxs"])
        points += [graph.node("Reshape", translation.result(name), np.array([-1, 2])) for name in _ADDED]
        places[_SURFACE:] = count + np.arange(POINTS - _SURFACE)
        face = graph.node("Reshape", translation.result("conv_faceflag"), np.array([1]))
    except (LookupError, ValueError) as error:
        msg = f"{weights.name} is not a face mesh with attention ({error})"
        raise CheckpointUnreadable(msg) from error
    chosen = graph.node("Gather", graph.concatenate(0, *points), places, axis=0)
    graph.concatenate(0, graph.node("Reshape", chosen, np.array([-1])), face)
    return graph.serialise("face_mesh", translation.inputs(), [2 * POINTS + 1])
