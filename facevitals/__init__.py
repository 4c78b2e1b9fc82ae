"""Face Vitals: vitals from a webcam clip of a face, each with an interval or with the reason why there is none.

    import facevitals

    result = facevitals.analyze("clip.mp4")
    result.vitals.heart_rate.value      # /min, or None
    result.waves.pulse                  # numpy arrays, or None

The names in `__all__` are the public interface; everything else may change with any release. They are imported when
they are first used: `import facevitals` by itself loads no other package and changes nothing in the process. The
analysis and the simulator need the extra `worker` (docs/python.md).
"""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from facevitals.analysis import Analysis, Analyzer, analyze
    from facevitals.client import Client, ClientError
    from facevitals.simulation import simulate
    from shared.clips.rejection import ClipRejected
    from shared.schemas import JobDocument
    from shared.version import VERSION as __version__  # noqa: N811  (its public name)

__all__ = [
    "Analysis",
    "Analyzer",
    "Client",
    "ClientError",
    "ClipRejected",
    "JobDocument",
    "__version__",
    "analyze",
    "simulate",
]

#: The module that defines each name, and its name there.
_ORIGINS: Final = {
    "Analysis": ("facevitals.analysis", "Analysis"),
    "Analyzer": ("facevitals.analysis", "Analyzer"),
    "Client": ("facevitals.client", "Client"),
    "ClientError": ("facevitals.client", "ClientError"),
    "ClipRejected": ("shared.clips.rejection", "ClipRejected"),
    "JobDocument": ("shared.schemas", "JobDocument"),
    "__version__": ("shared.version", "VERSION"),
    "analyze": ("facevitals.analysis", "analyze"),
    "simulate": ("facevitals.simulation", "simulate"),
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _ORIGINS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module, attribute = _ORIGINS[name]
    value: object = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
