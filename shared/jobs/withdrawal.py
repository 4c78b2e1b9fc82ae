"""What a final document takes back of what a branch gave before: waves, and events about vitals and checks. Pure.

A branch reports each vital as it is known; whether the person is alive, and whether the branch itself ends well, is
known later. What the document refuses must not be read elsewhere.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeVar

from shared.schemas import JobDocument, Vital, VitalStatus, Waveforms
from shared.vitals import VITALS

_GIVEN: Final = frozenset({VitalStatus.OK, VitalStatus.EXPERIMENTAL})

T = TypeVar("T")


def served_waveforms(waveforms: Waveforms, vitals: Mapping[str, Vital]) -> Waveforms:
    """The waves and spectra of the vitals that are given (`ok` or `experimental`); the others go with their vital."""
    return Waveforms(waves=_given(waveforms.waves, vitals), spectra=_given(waveforms.spectra, vitals))


def corrections(document: JobDocument, emitted: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Events (name, data) that set right what `emitted` events, in order, say otherwise than the document.

    Data are as `JobRecords.emit` takes them: of a vital `{"name": …, "vital": {…}}`, of a check the same.
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


def _given(parts: Mapping[str, T], vitals: Mapping[str, Vital]) -> dict[str, T]:
    return {
        name: part for name, part in parts.items() if (vital := vitals.get(_owner(name))) and vital.status in _GIVEN
    }


def _owner(wave: str) -> str:
    """The vital that a wave belongs to: its own name, or the longest that it begins with (`heart_rate_over_time`)."""
    names = (name for name in VITALS if wave == name or wave.startswith(f"{name}_"))
    return max(names, key=len, default="")
