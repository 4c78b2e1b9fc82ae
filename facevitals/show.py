"""A job document for the terminal."""

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from shared.schemas import JobDocument, Measure, Vital, VitalStatus
from shared.vitals import VARIABILITY, VITALS

_COLOURS = {
    VitalStatus.OK: "green",
    VitalStatus.EXPERIMENTAL: "yellow",
    VitalStatus.ABSTAINED: "cyan",
    VitalStatus.UNAVAILABLE: "bright_black",
}


def _number(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float | int) else str(value)


def _interval(of: Vital | Measure) -> str:
    if of.interval is None:
        return ""
    level = f" ({of.interval_level:.0%})" if of.interval_level else ""
    return f"{of.interval[0]:.1f} to {of.interval[1]:.1f}{level}"


def print_document(console: Console, document: JobDocument, truth: Mapping[str, float] | None = None) -> None:
    """Print vitals (beside the truth, where known), checks and what went wrong."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    columns = ["vital", "value", "unit", "interval", "status", *(["truth"] if truth else []), "reason"]
    for column in columns:
        table.add_column(column, no_wrap=True, justify="right" if column in {"value", "truth"} else "left")
    details: list[str] = []

    def row(title: str, of: Vital | Measure, value: str, known: float | None) -> None:
        colour = _COLOURS[of.status]
        cells = [title, value, of.unit or "", _interval(of), f"[{colour}]{of.status.value}[/]"]
        if truth:
            cells.append("" if known is None else f"{known:.1f}")
        table.add_row(*cells, of.reason.value if of.reason else "")
        if isinstance(of, Vital) and of.detail:
            details.append(f"{title}: {of.detail}")

    for name, vital in document.vitals.items():
        known = (truth or {}).get(name)
        if isinstance(vital.value, dict):
            for part, measure in vital.value.items():
                row(
                    VARIABILITY[part].title,
                    measure,
                    "-" if measure.value is None else _number(measure.value),
                    (truth or {}).get(part),
                )
        else:
            row(VITALS[name].title, vital, "-" if vital.value is None else _number(vital.value), known)
    if document.vitals:
        console.print(table)
    for detail in dict.fromkeys(details):
        console.print(detail, style="dim", highlight=False)
    checks = [
        f"{name} {check.status.value}" + (f" ({check.detail})" if check.status.value in {"warn", "fail"} else "")
        for name, check in document.checks.items()
    ]
    if checks:
        console.print("checks: " + ", ".join(checks), style="dim", highlight=False)
    for name, branch in document.branches.items():
        if branch.error:
            console.print(f"{name}: {branch.status.value}: {branch.error.detail}", style="red", highlight=False)
    if document.error:
        console.print(f"{document.state.value}: {document.error.code.value}: {document.error.detail}", style="bold red")
    console.print(document.notice, style="dim")
