"""The operators of MediaPipe's face mesh with attention, in operators of ONNX.

The network crops its own features around the lips and each eye, and refines the points there (Grishchenko et al. 2020,
"Attention mesh", arXiv 2006.10962). TensorFlow Lite has none of the three operators; MediaPipe declares them in
`mediapipe/util/tflite/operations`. A transform is a matrix (1, 4, 4) from positions in a crop to positions in the
features.
"""

from typing import Any

import numpy as np

from workers.models.graph import Graph


def transform_around(graph: Graph, points: str, options: dict[str, Any]) -> str:
    """Append `Landmarks2TransformMatrix`: the crop around some of `points` (1, n, 3), turned with the line of two.

    The crop's axes are those of the line from the left to the right point; its sides are those of the box around the
    chosen points along these axes, times `scale_x` and `scale_y`.
    """
    ends = np.array([options["left_rotation_idx"], options["right_rotation_idx"]])
    line = graph.node("MatMul", np.array([[-1.0, 1.0]]), _positions(graph, points, ends))
    along = graph.node("Div", line, graph.node("ReduceL2", line, axes=[2], keepdims=1))
    axes = graph.concatenate(1, along, graph.node("MatMul", along, np.array([[0.0, 1.0], [-1.0, 0.0]])))
    back = graph.node("Transpose", axes, perm=[0, 2, 1])

    chosen = graph.node("MatMul", _positions(graph, points, np.array(options["subset_idxs"])), back)
    highest = graph.node("ReduceMax", chosen, axes=[1], keepdims=1)
    lowest = graph.node("ReduceMin", chosen, axes=[1], keepdims=1)
    middle = graph.node("Mul", graph.node("Add", highest, lowest), np.array(0.5))
    middle = graph.node("Transpose", graph.node("MatMul", middle, axes), perm=[0, 2, 1])

    width, height = options["output_width"], options["output_height"]
    scale = np.array([[[options["scale_x"] / width, options["scale_y"] / height]]])
    turn = graph.node("Mul", back, graph.node("Mul", graph.node("Sub", highest, lowest), scale))
    corner = graph.node("MatMul", turn, np.array([[[-width / 2], [-height / 2]]]))
    shift = graph.node("Add", corner, middle)
    rows = graph.concatenate(2, turn, graph.node("Mul", shift, np.zeros((1, 1, 1))), shift)
    return graph.node("Concat", rows, np.array([[[0.0, 0, 1, 0], [0, 0, 0, 1]]]), axis=1)


def crop(graph: Graph, features: str, transform: str, size: tuple[int, int], crop_size: tuple[int, int]) -> str:
    """Append `TransformTensorBilinear`: `features` (1, c, *size) sampled in a crop (1, c, *crop_size).

    Pixels are squares whose centres are at 0.5. Outside of the features there are zeros.
    """
    (height, width), (rows, columns) = size, crop_size
    y, x = np.mgrid[:rows, :columns].reshape(2, -1) + 0.5
    pixels = np.stack([x, y, np.zeros_like(x), np.ones_like(x)])
    places = graph.node("MatMul", _rows(graph, transform), pixels)
    # GridSample has positions from -1 to 1 between the outer edges of the outermost pixels.
    places = graph.node("Mul", places, np.array([[[2 / width], [2 / height]]]))
    places = graph.node("Transpose", graph.node("Sub", places, np.array(1.0)), perm=[0, 2, 1])
    grid = graph.node("Reshape", places, np.array([1, rows, columns, 2]))
    return graph.node("GridSample", features, grid, mode="bilinear", padding_mode="zeros", align_corners=0)


def transformed(graph: Graph, points: str, transform: str) -> str:
    """Append `TransformLandmarks`: `points` (1, n, 2) of a crop, in the coordinates of the features."""
    rows = _rows(graph, transform)
    turn = graph.node("Slice", rows, np.array([0]), np.array([2]), np.array([2]))
    shift = graph.node("Slice", rows, np.array([3]), np.array([4]), np.array([2]))
    turned = graph.node("MatMul", points, graph.node("Transpose", turn, perm=[0, 2, 1]))
    return graph.node("Add", turned, graph.node("Transpose", shift, perm=[0, 2, 1]))


def _positions(graph: Graph, points: str, chosen: Any) -> str:  # noqa: ANN401  (an array of integers)
    """Append the x and y (1, m, 2) of the chosen points of (1, n, 3)."""
    found = graph.node("Gather", points, chosen, axis=1)
    return graph.node("Slice", found, np.array([0]), np.array([2]), np.array([2]))


def _rows(graph: Graph, transform: str) -> str:
    return graph.node("Slice", transform, np.array([0]), np.array([2]), np.array([1]))
