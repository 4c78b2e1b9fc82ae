"""`facevitals validate`: the whole product on recordings of people with a reference."""

import datetime as dt
import fnmatch
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from facevitals.extras import worker_extra
from facevitals.local.isolated_settings import analysis_settings
from shared.version import VERSION

if TYPE_CHECKING:
    from lab.data.rows import Row

errors = Console(stderr=True, markup=False, highlight=False)

Data = Annotated[
    Path,
    typer.Argument(
        help="Folder in the layout of UBFC-rPPG, UBFC-Phys, PURE, MCD-rPPG or `facevitals simulate`, or a CSV with the "
        "columns file and heart_rate, and others that are known: docs/validate.md.",
        show_default=False,
    ),
]
Out = Annotated[Path, typer.Option("--out", help="Folder of the rows and of the report. A second run continues it.")]
Jobs = Annotated[int, typer.Option(help="Processes, each with one recording at a time.", min=1)]
Only = Annotated[
    str | None, typer.Option(help="Measure only files whose path matches this pattern, such as '*FullHDwebcam*'.")
]


def validate(data: Data, out: Out = Path("validate-out"), jobs: Jobs = 1, only: Only = None) -> None:
    """Compare the whole product with references: errors, coverage, limits of agreement, by skin type and condition.

    Recordings are cut into windows of 15 s and measured as the service measures a clip; there is no limit on size or
    length. Writes report.md, report.json, figures, and rows.jsonl with a line for each window. Exit 0 if it ran, 1 if
    no recording could be read, 2 if the data has none of the layouts.
    """
    made_by, rows, faults = measured_rows(data, out, jobs, only)
    from lab.validate.document import Validation
    from lab.validate.figures import all_figures
    from lab.validate.plots import draw

    numbers = all_figures(rows)
    pictures: list[str] = []
    try:
        pictures = draw(rows, numbers, out)
    except ModuleNotFoundError as missing:
        errors.print(f"No figures are drawn: {missing.name} is not installed (pip install matplotlib).")
    validation = Validation({"command": "facevitals validate", **made_by}, numbers, rows, faults, pictures)
    path = validation.write(out)
    if faults:
        errors.print(f"{len(faults)} of {len(faults) + numbers['recordings']} recordings could not be read.")
    print(validation.sentence)
    print(f"Written to {path}")


def measured_rows(
    data: Path, out: Path, jobs: int, only: str | None, *, as_shipped: bool = False
) -> tuple[dict[str, Any], list["Row"], dict[str, str]]:
    """Measure the windows of `data` that are not in the rows of `out`; shows the progress.

    Ends the command where there is nothing to measure. `as_shipped` leaves the user's calibration out.

    Returns:
        How the rows were made, the rows of all windows, and the faults of recordings that can't be read, by name.
    """
    try:
        with worker_extra("The analysis"):
            from lab.data.datasets import labelled_in
            from lab.data.recording import NoRecordings
            from lab.validate.journal import digest_of, is_window
            from lab.validate.run import journal_of, measure_recordings
            from lab.validate.windows import WINDOW_S
            from workers.analyzer import AnalyzerOptions
            from workers.models.build import ModelNotInstalled
            from workers.models.session import DeviceUnavailable
            from workers.rppg.fusion.recalibration import RecalibrationUnreadable
    except ModuleNotFoundError as missing:
        raise ended(str(missing), 1) from missing
    try:
        layout, recordings = labelled_in(data)
    except (NoRecordings, OSError) as error:
        raise ended(str(error), 2) from error
    recordings = [each for each in recordings if only is None or fnmatch.fnmatch(each.name, only)]
    if not recordings:
        raise ended(f"No file of {data} matches {only}.", 2)
    faults: dict[str, str] = {}
    kept = f"What was measured is kept in {out}: run the command again to continue."
    try:
        config = analysis_settings()
        if as_shipped:
            config = config.model_copy(update={"calibration": None})
        options = AnalyzerOptions.from_settings(config)
        journal = journal_of(out, options)
        columns = (TextColumn("recordings"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=errors) as progress:
            task = progress.add_task("", total=len(recordings))
            for name, why in measure_recordings(recordings, journal, options, jobs=jobs):
                if why is not None:
                    faults[name] = why
                    progress.console.print(f"{name} could not be read: {why}", style="yellow", soft_wrap=True)
                progress.advance(task)
    except KeyboardInterrupt as stopped:
        raise ended(f"Stopped. {kept}", 130) from stopped
    except BrokenProcessPool as broken:
        raise ended(f"A process was killed; was the memory exhausted? Fewer --jobs need less. {kept}", 1) from broken
    except RecalibrationUnreadable as error:
        raise ended(str(error), 1) from error
    except (ModelNotInstalled, DeviceUnavailable, OSError) as error:
        raise ended(f"{error}. {kept}", 1) from error
    names = {each.name for each in recordings}
    rows = [row for row in journal.rows() if is_window(row) and row["file"] in names]
    if not rows:
        raise ended(f"None of the {len(recordings)} recordings could be read.", 1)
    made_by = {
        "version": VERSION,
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "layout": layout,
        "calibration": options.rppg.recalibration.digest,
        "window_s": WINDOW_S,
        "rows_sha256": digest_of(rows),
    }
    return made_by, rows, faults


def ended(why: str, code: int) -> typer.Exit:
    """Print why the command ends; returns how."""
    errors.print(why, style="red", soft_wrap=True)
    return typer.Exit(code)
