"""Withdrawal of waves and events that a final document contradicts. Pure functions.

A branch reports each vital as soon as it is measured; the liveness check and the outcome of the branch follow later. A
value that the document withholds must not be served elsewhere.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeVar

from shared.schemas import JobDocument, Vital, VitalStatus, Waveforms
from shared.vitals import VITALS

_WITH_VALUE: Final = frozenset({VitalStatus.OK, VitalStatus.EXPERIMENTAL})

T = TypeVar("T")


def served_waveforms(waveforms: Waveforms, vitals: Mapping[str, Vital]) -> Waveforms:
    """Return the waves and spectra of the vitals that have a value; the others are withdrawn with their vital."""
    return Waveforms(waves=_reported(waveforms.waves, vitals), spectra=_reported(waveforms.spectra, vitals))


def corrections(document: JobDocument, emitted: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield events (name, data) that correct those of the `emitted` events, in order, that differ from the document.

    Data are as `EventStream.emit` takes them: of a vital `{"name": …, "vital": {…}}`, of a check the same.
    """
    last: dict[tuple[str, str], Any] = {}
    for kind, data in emitted:
        if kind in {"vital", "check"}:
            last[kind, data["name"]] = data[kind]
    final = document.as_json()
    for (kind, name), value in last.items():
        known = final[f"{kind}s"].get(name)
        if known is not None and known != value:
            yield kind, {"name": name, kind: known}


def _reported(parts: Mapping[str, T], vitals: Mapping[str, Vital]) -> dict[str, T]:
    return {
        name: part
        for name, part in parts.items()
        if (vital := vitals.get(_owner(name))) and vital.status in _WITH_VALUE
    }


def _owner(wave: str) -> str:
    """Return the vital of a wave: the longest name that the wave's name begins with (`heart_rate_over_time`)."""
    names = (name for name in VITALS if wave == name or wave.startswith(f"{name}_"))
    return max(names, key=len, default="")
