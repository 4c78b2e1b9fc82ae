"""The manifest of weights, and how each becomes something that runs."""

from workers.models.build import ModelNotInstalled, ModelUnusable, model_file, prepare_models
from workers.models.manifest import MODELS, InstalledModel, ModelEntry, ModelState, installed_models, look_up
from workers.models.memory import DoesNotFit, OutOfMemory
from workers.models.session import Device, DeviceUnavailable, Loaded, Network, Runner, open_network, resolve

__all__ = [
    "MODELS",
    "Device",
    "DeviceUnavailable",
    "DoesNotFit",
    "InstalledModel",
    "Loaded",
    "ModelEntry",
    "ModelNotInstalled",
    "ModelState",
    "ModelUnusable",
    "Network",
    "OutOfMemory",
    "Runner",
    "installed_models",
    "look_up",
    "model_file",
    "open_network",
    "prepare_models",
    "resolve",
]
