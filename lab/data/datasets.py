"""Every layout of recordings with references that validation reads, found by the files of a folder."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

from lab.data import listed, mcd, pure, simulated, ubfc, ubfc_phys
from lab.data.labelled import LabelledRecording
from lab.data.recording import NoRecordings

#: Layouts of folders by name; a new one is a module with `labelled`, and a line here.
LAYOUTS: Final[dict[str, Callable[[Path], list[LabelledRecording]]]] = {
    "MCD-rPPG": mcd.labelled,
    "facevitals simulate": simulated.labelled,
    "UBFC-Phys": ubfc_phys.labelled,
    "UBFC-rPPG": ubfc.labelled,
    "PURE": pure.labelled,
}
#: Name of the layout of `lab.data.listed`.
TABLE: Final = "CSV"


def labelled_in(data: Path) -> tuple[str, list[LabelledRecording]]:
    """The name of the layout, and the recordings of a folder, or of a CSV file or the only one in a folder.

    Raises:
        NoRecordings: the path has none of the layouts, or two recordings have the same name.
        OSError: the path can't be read.
    """
    layout, found = _found(data)
    names = Counter(each.name for each in found)
    twice = sorted(name for name, count in names.items() if count > 1)
    if twice:
        raise NoRecordings(f"{data} lists the same file more than once: {', '.join(twice)}")
    return layout, found


def _found(data: Path) -> tuple[str, list[LabelledRecording]]:
    if data.is_file():
        return TABLE, listed.labelled(data)
    if not data.is_dir():
        raise FileNotFoundError(f"{data} does not exist")
    tables = [path for path in sorted(data.glob("*.csv")) if listed.is_table(path)]
    if len(tables) > 1:
        raise NoRecordings(f"{data} has more than one table of recordings; name one: {', '.join(map(str, tables))}")
    if tables:
        return TABLE, listed.labelled(tables[0])
    for name, find in LAYOUTS.items():
        if found := find(data):
            return name, found
    raise NoRecordings(
        f"{data} holds nothing in the layout of {', '.join(LAYOUTS)}, and no CSV with a column `file`: docs/validate.md"
    )
