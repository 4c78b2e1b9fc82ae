"""A Vision Transformer of torchvision's make with a head that ends in one number, run on PyTorch: the BMI's.

Dosovitskiy et al. 2021, "An image is worth 16x16 words", ICLR; weights of the original's backbone by SWAG (Singh et
al. 2022, arXiv 2201.08371). What may lie in the models folder, and how it is read, is told in
`docs/original-models.md`: `bmi.pth`, a state dictionary of torchvision's VisionTransformer whose `heads` are linear
layers, or of such a head alone with the backbone's file beside it; and `bmi.json`, which tells the rest (`BmiCard`).
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
from workers.models.memory import Place, require_room, with_care
from workers.models.session import Device, Loaded

Floats = NDArray[np.float32]
#: Tensors of PyTorch by name.
Tensors = dict[str, Any]

#: Attention heads by width, of torchvision's ViT-B, ViT-L and ViT-H: weights do not tell how many there are.
_HEADS: Final[Mapping[int, int]] = {768: 12, 1024: 16, 1280: 16}
#: Backbones by width, for a head alone that names none: the original's.
_BACKBONES: Final[Mapping[int, str]] = {1280: "vit_h_14_swag-80465313.pth"}
_ACTIVATIONS: Final = ("gelu", "relu", "tanh")
# Names of the two layers of a block's perceptron before torchvision 0.12.
_OLD_NAMES: Final = ((".mlp.linear_1.", ".mlp.0."), (".mlp.linear_2.", ".mlp.3."))
# Portraits at once; 1370 places a portrait at 518 pixels make attention maps of 120 MB each.
_BATCH: Final = 3


@dataclass(frozen=True)
class BmiCard:
    """`bmi.json`: what the weights do not tell. `facevitals train bmi` writes it.

    `backbone` names the file of the backbone where the weights are a head alone; `side` is that of the picture in
    pixels, `crop` that of the face's surroundings in sides of the mesh's box; `mae` in kg/m2 on `people` that training
    had not seen, and `interval_90` the 5 % and 95 % quantiles of truth less estimate among them.
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
        """The card of a file of weights; every default where there is none.

        Raises CheckpointUnreadable.
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
                raise ValueError("its activation or its backbone is none that can be used")
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise CheckpointUnreadable(f"{path.name}: {error}") from error
        return card


class VisionTransformer:
    """The network, ready: pictures (n, 3, side, side), normalised as ImageNet's, become numbers (n,)."""

    def __init__(self, module: Any, side: int, card: BmiCard, loaded: Loaded) -> None:  # noqa: ANN401  (torch has no types here)
        self._module = module
        self.side, self.card, self.loaded = side, card, loaded

    def __call__(self, *inputs: Floats) -> Floats:
        """The numbers (n,). Raises OutOfMemory."""
        (pictures,) = inputs
        parts = [pictures[first : first + _BATCH] for first in range(0, len(pictures), _BATCH)]
        return np.concatenate(
            [with_care("the BMI's ViT", self._run, (part,), self._free, batched=True) for part in parts]
        )

    def _run(self, pictures: Floats) -> Floats:
        import torch

        with torch.inference_mode():
            answer = self._module(torch.from_numpy(np.ascontiguousarray(pictures)).to(self.loaded.place))
        return np.asarray(answer.float().cpu().numpy()[:, 0], np.float32)

    def _free(self) -> None:
        import torch

        if self.loaded.place == "cuda":
            torch.cuda.empty_cache()


def open_vit(path: Path, threads: int, device: Device = "cpu") -> VisionTransformer:
    """Read a BMI network; on the CPU it runs on `threads` threads.

    Raises:
        CheckpointUnreadable: the file holds no such network; the message says why.
        DoesNotFit: the device has not the memory for it.
        ModuleNotFoundError: PyTorch or torchvision is not installed.
    """
    begun = time.monotonic()
    import torch

    torch.set_num_threads(max(threads, 1))
    place = place_of(device)
    card = BmiCard.beside(path)
    tensors = whole(path, card)
    weights_bytes = sum(4 * tensor.numel() for tensor in tensors.values())
    require_room(path.stem, weights_bytes, place)
    module, side = assembled(tensors, card)
    module = module.float().eval().to(place)
    loaded = Loaded(place, weights_bytes, round(1000 * (time.monotonic() - begun)))
    return VisionTransformer(module, side, card, loaded)


def place_of(device: Device) -> Place:
    """Where PyTorch runs a network: on the GPU only where PyTorch was built for it and sees one."""
    import torch

    return "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"


def whole(path: Path, card: BmiCard) -> Tensors:
    """The tensors of backbone and head, as torchvision names them.

    Raises CheckpointUnreadable.
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
        raise CheckpointUnreadable(f"{path.name} is a head alone, and its backbone {name} does not lie beside it")
    backbone = read(path.parent / name)
    trunk = {name: tensor for name, tensor in backbone.items() if not name.startswith("heads.")}
    return trunk | {f"heads.{name}": tensor for name, tensor in head.items()}


def read(path: Path) -> Tensors:
    """The state dictionary in a file of PyTorch, its numbers left on the disk until they are used.

    Raises CheckpointUnreadable.
    """
    import torch

    try:
        # Files from before PyTorch 1.6 are no archives, and can't be mapped.
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:  # torch.load raises whatever pickle, zip and its own reader do
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


def assembled(tensors: Tensors, card: BmiCard) -> tuple[Any, int]:
    """The module that these tensors are the weights of, holding them; and the side of the picture that it takes.

    Raises CheckpointUnreadable.
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
        said = str(error).splitlines()[0]
        raise CheckpointUnreadable(
            f"the tensors are no ViT of torchvision with a head of linear layers: {said}"
        ) from error
    return module, side


def _head(tensors: Tensors, activation: str) -> tuple[Tensors, Any]:
    """The tensors, the head's named by their place, and the head: its layers in their order, `activation` between."""
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
    """torchvision's module of that name.

    Its package registers operators of its compiled part when it is imported, and stops where that part was built for
    another PyTorch and so was not loaded; a ViT needs none of them, so that their names suffice.
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


#: Declared operators vanish with what declared them.
_DECLARED: Final[list[Any]] = []


def _forget(package: str) -> None:
    """What an import that failed has left behind."""
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        del sys.modules[name]
