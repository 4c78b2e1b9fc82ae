"""The device and the program that recorded a clip, where its metadata states them.

Metadata can identify a person: location, serial number, owner, title. Only the keys listed here are read, and a value
counts only if it has the form of a product's name.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from av.container import InputContainer

#: Keys of the maker, of the model and of the program, in order of preference. Matroska's are in capital letters.
_MAKE: Final = ("com.apple.quicktime.make", "com.android.manufacturer", "make")
_MODEL: Final = ("com.apple.quicktime.model", "com.android.model", "model")
_PROGRAM: Final = ("encoder", "com.apple.quicktime.software", "software", "writing_application")
_ANDROID: Final = "com.android.version"

#: Longest value in characters.
_LONGEST: Final = 64
_FORM: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 .,_\-/()+]*[A-Za-z0-9)+])?")
#: Ten letters and digits in a row, at least three of them digits: a serial number. The dates of builds are no such.
_SERIAL: Final = re.compile(r"(?=[A-Za-z0-9]{10})(?=(?:[A-Za-z]*[0-9]){3})(?!20[0-9]{6}(?:[0-9]{2})?(?![A-Za-z0-9]))")
_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{4}|(?:[0-9A-Fa-f]{2}[-_ ]){5}")
_COORDINATES: Final = re.compile(r"[0-9]{1,3}\.[0-9]{2,}[ ,/]*[+\-, /][+\-]?[0-9]{1,3}\.[0-9]{2,}")
_PRODUCTS: Final = r"(?:iphone|ipad|ipod|macbook|galaxy|pixel|phone|handy|tablet|camera)"
#: Names that people give to their devices: "Annas iPhone", "iPhone von Anna", "Pixel (Anna)".
_OWNED: Final = re.compile(rf"\b[a-z]+s {_PRODUCTS}\b|\b{_PRODUCTS} (?:of|von|de|di|da|van|\([a-z])", re.IGNORECASE)


def device_of(container: InputContainer) -> str | None:
    """Return make and model of the device, such as `Apple iPhone 15 Pro`; None where the file states neither."""
    metadata = _metadata(container)
    make, model = _first(metadata, _MAKE), _first(metadata, _MODEL)
    if make and model and not model.casefold().startswith(make.casefold()):
        return f"{make} {model}"
    return model or make


def encoder_of(container: InputContainer) -> str | None:
    """Return the program that wrote the file, such as `Lavf61.7.100`; None where the file does not state it."""
    metadata = _metadata(container)
    if program := _first(metadata, _PROGRAM):
        return program
    android = _first(metadata, (_ANDROID,))
    return f"Android {android}" if android else None


def _metadata(container: InputContainer) -> dict[str, str]:
    """Return the metadata by key in lower case. The container's own count before those of its streams."""
    found: dict[str, str] = {}
    for metadata in (container.metadata, *(stream.metadata for stream in container.streams.video)):
        for key, value in _listed(metadata):
            found.setdefault(key, value)
    return found


def _listed(metadata: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for key, value in metadata.items():
        name = key.lower()
        if name in {*_MAKE, *_MODEL, *_PROGRAM, _ANDROID} and len(value) <= 2 * _LONGEST:
            yield name, value.strip("\0 ")


def _first(metadata: Mapping[str, str], keys: tuple[str, ...]) -> str | None:
    return next((metadata[key] for key in keys if key in metadata and _is_product(metadata[key])), None)


def _is_product(value: str) -> bool:
    if len(value) > _LONGEST or not _FORM.fullmatch(value):
        return False
    return not any(pattern.search(value) for pattern in (_SERIAL, _UUID, _COORDINATES, _OWNED))
