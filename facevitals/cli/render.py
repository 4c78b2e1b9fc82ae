"""A job document for the terminal."""

from collections.abc import Mapping
from typing import Final

from rich.console import Console
from rich.table import Table

from shared.schemas import JobDocument, Measure, VariabilityMeasures, Vital, VitalStatus
from shared.vitals import VARIABILITY, VITALS

_COLOURS: Final = {
    VitalStatus.OK: "green",
    VitalStatus.EXPERIMENTAL: "yellow",
    VitalStatus.ABSTAINED: "cyan",
    VitalStatus.UNAVAILABLE: "bright_black",
}


def print_document(console: Console, document: JobDocument, truth: Mapping[str, float] | None = None) -> None:
    """Print vitals (beside the truth, where known), checks, warnings and errors; of a failed job only the last."""
    if document.vitals.by_name() and not document.error:
        console.print(_table(document, truth or {}))
        for name, vital in document.vitals.by_name().items():
            if vital.detail:
                console.print(f"{VITALS[name].title}: {vital.detail}", style="dim", markup=False, highlight=False)
    checks = [
        f"{name} {check.status.value}" + (f" ({check.detail})" if check.status.value in {"warn", "fail"} else "")
        for name, check in document.checks.by_name().items()
    ]
    if checks and not document.error:
        console.print("checks: " + ", ".join(checks), style="dim", markup=False, highlight=False)
    for warning in document.warnings:
        console.print(f"clip: {warning.detail}", style="yellow", markup=False, highlight=False)
    for name, branch in document.branches.by_name().items():
        if branch.error and not (document.error and branch.error.detail == document.error.detail):
            line = f"{name}: {branch.status.value}: {branch.error.detail}"
            console.print(line, style="red", markup=False, highlight=False)
    if document.error:
        line = f"{document.state.value}: {document.error.code.value}: {document.error.detail}"
        console.print(line, style="bold red", markup=False)
    console.print(document.notice, style="dim")


def _table(document: JobDocument, truth: Mapping[str, float]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("vital", "value", "unit", "90 % interval", *(["truth"] if truth else []), "status"):
        table.add_column(column, no_wrap=True, justify="right" if column in {"value", "truth"} else "left")
    for name, vital in document.vitals.by_name().items():
        if not isinstance(vital.value, VariabilityMeasures):
            table.add_row(*_cells(VITALS[name].title, vital, name, truth))
            continue
        table.add_row(VITALS[name].title)
        for part, measure in vital.value.by_name().items():
            table.add_row(*_cells(f"  {VARIABILITY[part].title}", measure, part, truth))
    return table


def _cells(title: str, of: Vital | Measure, name: str, truth: Mapping[str, float]) -> list[str]:
    interval = f"{of.interval[0]:.1f} to {of.interval[1]:.1f}" if of.interval else ""
    known = [f"{truth[name]:.1f}" if name in truth else ""] if truth else []
    reason = f": {of.reason.value}" if of.reason else ""
    return [title, _value(of), of.unit or "", interval, *known, f"[{_COLOURS[of.status]}]{of.status.value}{reason}[/]"]


def _value(of: Vital | Measure) -> str:
    if of.value is None:
        return "-"
    return f"{of.value:.1f}" if isinstance(of.value, float | int) else str(of.value)
