"""`facevitals calibrate`: fit the verdict and the interval of the heart rate to recordings of people."""

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facevitals.cli.validate_command import Jobs, Only, ended, measured_rows
from facevitals.extras import worker_extra
from shared.version import VERSION

if TYPE_CHECKING:
    from lab.data.rows import Row


def calibrate(
    data: Annotated[
        Path,
        typer.Argument(
            help="What `facevitals validate` takes, or the rows.jsonl that it wrote.",
            metavar="DATA",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", help="Folder of the rows, as of `facevitals validate`, and of the calibration.")
    ] = Path("validate-out"),
    jobs: Jobs = 1,
    only: Only = None,
) -> None:
    """Fit offset and scale of the heart rate's verdict and interval to your recordings; nothing else changes.

    Measures the recordings as `facevitals validate` does, fits, and judges the fit on people that were held out. Needs
    20 people and 100 windows. Writes OUT/calibration.json; workers and `facevitals analyze` use it where
    FACEVITALS_CALIBRATION names it. Exit 1 if there are too few people.
    """
    made_by, rows = _rows(data, out, jobs, only)
    from lab.calibrate.recalibration import TooFew, calibrate, judged_windows, write

    windows = judged_windows(rows)
    try:
        recalibration, held_out = calibrate(windows)
    except TooFew as error:
        raise ended(str(error), 1) from error
    counts = {"people": len({window.subject for window in windows}), "windows": len(windows)}
    path = out / "calibration.json"
    write(path, recalibration, {"command": "facevitals calibrate", **made_by, **counts}, held_out)
    found = recalibration
    print(f"Verdict: {found.verdict_offset:+g} and {found.verdict_scale:g} times the log odds.")
    print(f"Interval: {found.interval_offset_per_min:+g} /min and {found.interval_scale:g} times its half.")
    print(f"Held out by person, {counts['people']} people, {counts['windows']} windows, before and after:")
    for name in held_out["before"]:
        if name != "windows":
            print(f"  {name.replace('_', ' ')}: {held_out['before'][name]}, {held_out['after'][name]}")
    print(f"Written to {path}. To use it: FACEVITALS_CALIBRATION={path.absolute()}")


def _rows(data: Path, out: Path, jobs: int, only: str | None) -> tuple[dict[str, Any], list["Row"]]:
    """How the rows were made, and the rows of the windows: measured now, or before."""
    if data.suffix != ".jsonl":
        made_by, rows, _ = measured_rows(data, out, jobs, only, as_shipped=True)
        return made_by, rows
    try:
        with worker_extra("The analysis"):
            from lab.data.rows import read_rows
            from lab.validate.journal import FORMAT, digest_of, is_window, present_code
    except ModuleNotFoundError as missing:
        raise ended(str(missing), 1) from missing
    every = [row for row in read_rows(data) if is_window(row)]
    made_now = [row for row in every if (row.get("format"), row["code"]) == (FORMAT, present_code())]
    latest = {(row["file"], row["start_s"], row["window_s"]): row for row in made_now}
    if not latest:
        why = "were measured by another release: run `facevitals validate` again" if every else "are missing"
        raise ended(f"{data}: rows of windows {why}.", 2)
    rows = list(latest.values())
    return {
        "version": VERSION,
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "rows_sha256": digest_of(rows),
    }, rows
