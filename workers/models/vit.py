"""torchvision's Vision Transformer with a head of one output, on PyTorch: the model of the BMI.

Dosovitskiy et al. 2021, "An image is worth 16x16 words", ICLR; weights of the original's backbone by SWAG (Singh et
al. 2022, arXiv 2201.08371). The models folder contains, as `docs/original-models.md` describes, `bmi.pth`: a state
dictionary of torchvision's VisionTransformer whose `heads` are linear layers, or of such a head alone with the
backbone's file beside it; and `bmi.json` with the rest (`BmiCard`).
"""

import json
import sys
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from workers.models.checkpoint import CheckpointUnreadable
from workers.models.memory import Place, require_room, retry_with_less_memory
from workers.models.session import Device, Loaded

#: Tensors of PyTorch by name.
Tensors = dict[str, Any]

#: Attention heads by width, of torchvision's ViT-B, ViT-L and ViT-H: the weights don't show their number.
_HEADS: Final[Mapping[int, int]] = {768: 12, 1024: 16, 1280: 16}
#: Backbones by width, for a head alone whose card names none: the original's.
_BACKBONES: Final[Mapping[int, str]] = {1280: "vit_h_14_swag-80465313.pth"}
_ACTIVATIONS: Final = ("gelu", "relu", "tanh")
#: Names, before torchvision 0.12 and now, of the two layers of a block's perceptron.
_OLD_NAMES: Final = ((".mlp.linear_1.", ".mlp.0."), (".mlp.linear_2.", ".mlp.3."))
#: Portraits in one run: with 1370 tokens for a portrait of 518 pixels, each has attention maps of 120 MB.
_BATCH: Final = 3


@dataclass(frozen=True)
class BmiCard:
    """`bmi.json`: what the weights don't contain. `facevitals train bmi` writes it.

    Attributes:
        backbone: file name of the backbone, if the weights are a head alone.
        side: side of the input, pixels; None: that of the weights' position embedding.
        attention_heads: number of attention heads; None: torchvision's for the width.
        activation: activation between the head's layers.
        crop: side of the portrait's crop, in sides of the mesh's box.
        trained_on: the training data, for people.
        mae: mean absolute error, kg/m2, on people left out of training.
        people: number of those people.
        interval_90: 5 % and 95 % quantiles of truth less estimate among them, kg/m2.
    """

    backbone: str = ""
    side: int | None = None
    attention_heads: int | None = None
    activation: str = "gelu"
    crop: float = 1.4
    trained_on: str = ""
    mae: float | None = None
    people: int = 0
    interval_90: tuple[float, float] | None = None

    @classmethod
    def beside(cls, weights: Path) -> "BmiCard":
        """Read the card beside a file of weights; without one, return the defaults.

        Raises:
            CheckpointUnreadable: the card is not valid.
        """
        path = weights.with_suffix(".json")
        if not path.is_file():
            return cls()
        try:
            found = json.loads(path.read_text("utf-8"))
            known = {field.name: found[field.name] for field in fields(cls) if found.get(field.name) is not None}
            if "interval_90" in known:
                low, high = (float(end) for end in known["interval_90"])
                known["interval_90"] = (low, high)
            card = cls(**known)
            if card.activation not in _ACTIVATIONS or Path(card.backbone).name != card.backbone:
                raise ValueError("its activation or its backbone is not supported")
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise CheckpointUnreadable(f"{path.name}: {error}") from error
        return card


class VisionTransformer:
    """The loaded network: pictures (n, 3, side, side), normalised like ImageNet's, in, numbers (n,) out."""

    def __init__(self, module: Any, side: int, card: BmiCard, loaded: Loaded) -> None:  # noqa: ANN401  (torch has no types here)
        self._module = module
        self.side, self.card, self.loaded = side, card, loaded

    def __call__(self, *inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the numbers (n,).

        Raises:
            OutOfMemory: the device's memory ran out twice.
        """
        (pictures,) = inputs
        parts = [pictures[first : first + _BATCH] for first in range(0, len(pictures), _BATCH)]
        return np.concatenate(
            [retry_with_less_memory("the BMI's ViT", self._run, (part,), self._free, batched=True) for part in parts]
        )

    def _run(self, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        import torch

        with torch.inference_mode():
            answer = self._module(torch.from_numpy(np.ascontiguousarray(pictures)).to(self.loaded.place))
        return np.asarray(answer.float().cpu().numpy()[:, 0], np.float32)

    def _free(self) -> None:
        import torch

        if self.loaded.place == "cuda":
            torch.cuda.empty_cache()


def open_vit(path: Path, threads: int, device: Device = "cpu") -> VisionTransformer:
    """Load a BMI network; on the CPU it runs on `threads` threads.

    Raises:
        CheckpointUnreadable: the file has no such network; the message is the reason.
        DoesNotFit: the device has too little free memory.
        ModuleNotFoundError: PyTorch or torchvision is not installed.
    """
    begun = time.monotonic()
    import torch

    torch.set_num_threads(max(threads, 1))
    place = place_of(device)
    card = BmiCard.beside(path)
    tensors = read_with_backbone(path, card)
    weights_bytes = sum(4 * tensor.numel() for tensor in tensors.values())
    require_room(path.stem, weights_bytes, place)
    module, side = build_module(tensors, card)
    module = module.float().eval().to(place)
    loaded = Loaded(place, weights_bytes, round(1000 * (time.monotonic() - begun)))
    return VisionTransformer(module, side, card, loaded)


def place_of(device: Device) -> Place:
    """Return where PyTorch runs a network: on the GPU if PyTorch was built with CUDA and sees one."""
    import torch

    return "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"


def read_with_backbone(path: Path, card: BmiCard) -> Tensors:
    """Read the tensors of backbone and head, under torchvision's names.

    Raises:
        CheckpointUnreadable: a file is not a checkpoint, or the backbone is unknown or missing.
    """
    tensors = read(path)
    if "conv_proj.weight" in tensors:
        return tensors
    head = {name.removeprefix("heads."): tensor for name, tensor in tensors.items()}
    width = next((tensor.shape[1] for tensor in head.values() if tensor.ndim == 2), 0)
    name = card.backbone or _BACKBONES.get(width, "")
    if not name:
        raise CheckpointUnreadable(f"{path.name} is a head alone; name its backbone's file in {path.stem}.json")
    if not (path.parent / name).is_file():
        raise CheckpointUnreadable(f"{path.name} is a head alone, and its backbone {name} is not in the same folder")
    backbone = read(path.parent / name)
    trunk = {name: tensor for name, tensor in backbone.items() if not name.startswith("heads.")}
    return trunk | {f"heads.{name}": tensor for name, tensor in head.items()}


def read(path: Path) -> Tensors:
    """Read the state dictionary of a PyTorch file, memory-mapped.

    Raises:
        CheckpointUnreadable: the file is not a state dictionary of tensors.
    """
    import torch

    try:
        # Files from before PyTorch 1.6 are not archives, and can't be mapped.
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:  # torch.load raises the exceptions of pickle, zipfile and its own reader
        raise CheckpointUnreadable(f"{path.name} is no checkpoint of tensors ({type(error).__name__})") from error
    found = next((found[key] for key in ("state_dict", "model") if isinstance(found, dict) and key in found), found)
    if not isinstance(found, dict) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise CheckpointUnreadable(f"{path.name} is no state dictionary of tensors")
    tensors = {}
    for given, tensor in found.items():
        name = str(given).removeprefix("module.")
        for old, new in _OLD_NAMES:
            name = name.replace(old, new)
        tensors[name] = tensor
    return tensors


def build_module(tensors: Tensors, card: BmiCard) -> tuple[Any, int]:
    """Return the module with these tensors as its weights, and the side of its input, pixels.

    Raises:
        CheckpointUnreadable: the tensors are not those of a ViT of torchvision with a head of one output.
    """
    import torch

    transformer = vision_transformer()
    try:
        width, _, patch, _ = tensors["conv_proj.weight"].shape
        layers = {name.split(".")[2] for name in tensors if name.startswith("encoder.layers.")}
        deep = tensors["encoder.layers.encoder_layer_0.mlp.0.weight"].shape[0]
        trained_at = patch * round((tensors["encoder.pos_embedding"].shape[1] - 1) ** 0.5)
        side = card.side or trained_at
        heads = card.attention_heads or _HEADS.get(width)
        if heads is None:
            raise CheckpointUnreadable(f"a ViT {width} wide needs attention_heads in its card")
        if side != trained_at:
            tensors = dict(transformer.interpolate_embeddings(side, patch, dict(tensors)))
        renamed, head = _head(tensors, card.activation)
        with torch.device("meta"):
            module = transformer.VisionTransformer(side, patch, len(layers), heads, width, deep)
        module.heads = head
        module.load_state_dict(renamed, assign=True)
    except (KeyError, ValueError, RuntimeError) as error:
        message = str(error).splitlines()[0]
        raise CheckpointUnreadable(
            f"the tensors are no ViT of torchvision with a head of linear layers: {message}"
        ) from error
    return module, side


def _head(tensors: Tensors, activation: str) -> tuple[Tensors, Any]:
    """The tensors, with the head's named by position, and the head: its layers in order, with `activation` between."""
    from torch import nn

    between = {"gelu": nn.GELU, "relu": nn.ReLU, "tanh": nn.Tanh}[activation]
    names = [name for name in tensors if name.startswith("heads.") and name.endswith(".weight")]
    shapes = [tuple(tensors[name].shape) for name in names]
    chained = all(before[0] == after[1] for before, after in pairwise(shapes))
    if not shapes or any(len(shape) != 2 for shape in shapes) or not chained or shapes[-1][0] != 1:
        raise ValueError(f"heads of shapes {shapes} are no chain of linear layers that ends in one number")
    renamed = {name: tensor for name, tensor in tensors.items() if not name.startswith("heads.")}
    parts: list[Any] = []
    for name, (after, before) in zip(names, shapes, strict=True):
        place = len(parts)
        parts.append(nn.Linear(before, after, device="meta"))
        for part in ("weight", "bias"):
            renamed[f"heads.{place}.{part}"] = tensors[f"{name.removesuffix('.weight')}.{part}"]
        parts.append(between())
    return renamed, nn.Sequential(*parts[:-1])


def vision_transformer() -> Any:  # noqa: ANN401  (torchvision has no types)
    """Import torchvision's module of that name.

    On import, torchvision registers operators of its compiled extension, and fails if that was built for another
    PyTorch. A ViT uses none of them, so declaring their names is enough.
    """
    import torch

    try:
        from torchvision.models import vision_transformer as module
    except RuntimeError:
        _forget("torchvision")
        library = torch.library.Library("torchvision", "FRAGMENT")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _DECLARED.append(library)
        from torchvision.models import vision_transformer as module
    return module


#: Declared operators live as long as the library that declares them.
_DECLARED: Final[list[Any]] = []


def _forget(package: str) -> None:
    """Remove the modules that a failed import has left in `sys.modules`."""
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        del sys.modules[name]
