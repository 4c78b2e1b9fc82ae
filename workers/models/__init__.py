"""The manifest of weights, and how each becomes something that runs."""

from workers.models.build import ModelNotInstalled, model_file, prepare_models
from workers.models.manifest import MODELS, InstalledModel, ModelEntry, ModelState, installed_models, look_up
from workers.models.session import Device, DeviceUnavailable, Network, open_network, resolve

__all__ = [
    "MODELS",
    "Device",
    "DeviceUnavailable",
    "InstalledModel",
    "ModelEntry",
    "ModelNotInstalled",
    "ModelState",
    "Network",
    "installed_models",
    "look_up",
    "model_file",
    "open_network",
    "prepare_models",
    "resolve",
]
