"""The report of a validation: `report.md` for people, `report.json` with the same numbers, and figures."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lab.data.rows import Row
from lab.report import machine
from lab.validate.figures import TOLERANCES
from shared.schemas import NOTICE
from shared.vitals import VITALS

#: Wrong windows that are listed.
_MAX_LISTED: Final = 50
_NONE: Final = "-"


@dataclass(frozen=True)
class Validation:
    """A finished validation.

    made_by   how it was made: layout, version, date, digests
    figures   the numbers (`lab.validate.figures.all_figures`)
    rows      of the windows
    faults    recordings that could not be read, by name, and why
    pictures  names of the figures that were drawn, in the report's folder
    """

    made_by: dict[str, Any]
    figures: dict[str, Any]
    rows: Sequence[Row]
    faults: dict[str, str]
    pictures: Sequence[str] = ()

    def write(self, folder: Path) -> Path:
        """Write `report.json` and `report.md`; returns the path of the latter. The JSON names no file and no person."""
        body = {"made_by": self.made_by, "unreadable": len(self.faults), **_rounded(self.figures), "notice": NOTICE}
        (folder / "report.json").write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n", "utf-8")
        path = folder / "report.md"
        path.write_text(self.markdown, "utf-8")
        return path

    @property
    def markdown(self) -> str:
        """The report in Markdown."""
        return "\n".join(self._lines())

    @property
    def sentence(self) -> str:
        """How many windows were reported and refused, and the error of the heart rate."""
        rate = self.figures["vitals"]["heart_rate"]
        counts = f"{rate['n']} windows with a reference: heart rate reported in {rate['reported']}, refused in "
        errors = rate["errors"]
        error = f"; mean absolute error {errors['mae']:.2f} /min" if errors else ""
        without = self.figures["without_heart_rate_reference"]
        return f"{counts}{rate['refused']}{error}." + (f" {without} windows have no reference." if without else "")

    def _lines(self) -> Iterator[str]:
        found = self.figures
        yield "# Validation"
        yield ""
        yield f"Recordings: {found['recordings']}, people: {found['subjects']}, layout: {self.made_by['layout']}."
        yield f"Windows of {self.made_by['window_s']:g} s: {found['windows']}."
        yield f"Face Vitals {self.made_by['version']}, {self.made_by['date']}, {machine()}."
        yield ""
        yield self.sentence
        yield ""
        yield f"*{NOTICE}* How to read this report: docs/validate.md."
        yield from self._errors()
        yield from self._heart_rate_groups()
        yield from self._genders()
        yield from self._refused()
        yield from self._wrong()
        yield from self._faults()
        for name in self.pictures:
            yield ""
            yield f"![{Path(name).stem}]({name})"
        yield ""

    def _errors(self) -> Iterator[str]:
        yield from _heading("Errors where a value was reported")
        columns = (
            "vital", "n", "refused", "coverage", "MAE (95 % interval)", "RMSE", "within", "Pearson r", "bias",
            "limits of agreement", "wrong (95 % upper bound)", "interval holds", "MAE of a constant",
        )  # fmt: skip
        rows = [_error_row(_title(vital), each) for vital, each in self.figures["vitals"].items()]
        yield from _table(columns, rows)
        yield ""
        yield (
            "Age and BMI: one value a recording. Coverage: share with a reported value. Wrong: reported, and off by "
            f"more than {', '.join(f'{value:g} ({_title(name)})' for name, value in TOLERANCES.items())}; its upper "
            "bound is one-sided and takes windows for independent (Clopper-Pearson). The interval of the MAE is "
            "bootstrapped over people. The constant is the median of the references."
        )

    def _heart_rate_groups(self) -> Iterator[str]:
        for name, group in self.figures["heart_rate_by"].items():
            yield from _heading(f"Heart rate by {name}")
            columns = (name, "n", "people", "refused", "coverage", "MAE (95 % interval)", "within", "wrong", "holds")
            rows = [
                (
                    value, each["n"], each["subjects"], each["refused"], _percent(each["coverage"]),
                    *_mae(each["errors"], "mae", "within", "wrong"),
                    _percent((each["interval"] or {}).get("coverage")),
                )
                for value, each in group.items()
            ]  # fmt: skip
            yield from _table(columns, rows)

    def _genders(self) -> Iterator[str]:
        if self.figures["gender"]:
            yield from _heading("Gender by sex")
            rows = [
                (sex, each["n"], each["refused"], each["right"], _percent(each["share_right"]))
                for sex, each in self.figures["gender"].items()
            ]
            yield from _table(("sex", "recordings", "refused", "right", "share right"), rows)

    def _refused(self) -> Iterator[str]:
        rows = [
            (_title(vital), reason, count)
            for vital, each in self.figures["vitals"].items()
            for reason, count in each["reasons"].items()
        ]
        if rows:
            yield from _heading("Refused, and why")
            yield from _table(("vital", "reason", "n"), rows)

    def _wrong(self) -> Iterator[str]:
        wrong = [
            (row, value, true)
            for row in self.rows
            if (value := row["vitals"]["heart_rate"].get("value")) is not None
            and (true := row["reference"].get("heart_rate")) is not None
            and abs(value - true) > TOLERANCES["heart_rate"]
        ]
        if wrong:
            yield from _heading("Windows with a wrong heart rate")
            wrong.sort(key=lambda each: -abs(each[1] - each[2]))
            rows = [
                (row["file"], row["start_s"], true, value, row["vitals"]["heart_rate"].get("interval") or _NONE)
                for row, value, true in wrong[:_MAX_LISTED]
            ]
            yield from _table(("file", "start s", "reference", "reported", "interval"), rows)
            if len(wrong) > _MAX_LISTED:
                yield ""
                yield f"The worst {_MAX_LISTED} of {len(wrong)}; all are in rows.jsonl."

    def _faults(self) -> Iterator[str]:
        if self.faults:
            yield from _heading("Recordings that could not be read")
            yield from (f"- {name}: {why.strip().splitlines()[-1]}" for name, why in self.faults.items())


def _rounded(value: Any) -> Any:  # noqa: ANN401  (whatever JSON holds)
    """The value with every float rounded to four places."""
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list | tuple) else value


def _title(vital: str) -> str:
    unit = VITALS[vital].unit
    return f"{VITALS[vital].title}, {unit}" if unit else VITALS[vital].title


def _error_row(title: str, found: dict[str, Any]) -> tuple[object, ...]:
    errors, interval, constant = found["errors"] or {}, found["interval"] or {}, found["baseline"] or {}
    limits = errors.get("limits")
    return (
        title,
        found["n"],
        found["refused"],
        _percent(found["coverage"]),
        *_mae(errors, "mae", "rmse", "within", "pearson", "bias"),
        f"{limits[0]:.1f} to {limits[1]:.1f}" if limits else _NONE,
        f"{errors['wrong']} ({_percent(errors['wrong_upper'])})" if errors else _NONE,
        _percent(interval.get("coverage")),
        _number(constant.get("mae_reported")),
    )


def _mae(errors: dict[str, Any] | None, *names: str) -> Iterator[str]:
    """Cells of an error's figures, the mean absolute error with its interval."""
    for name in names:
        value = (errors or {}).get(name)
        interval = (errors or {}).get("mae_interval")
        if name == "mae" and value is not None and interval is not None:
            yield f"{value:.2f} ({interval[0]:.2f} to {interval[1]:.2f})"
        elif name == "within":
            yield _percent(value)
        else:
            yield str(value) if isinstance(value, int) else _number(value)


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:.2f}"


def _percent(share: float | None) -> str:
    return _NONE if share is None else f"{100 * share:.1f} %"


def _heading(text: str) -> Iterator[str]:
    yield from ("", f"## {text}", "")


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    yield "| " + " | ".join(columns) + " |"
    yield "|" + "---|" * len(columns)
    yield from ("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows)
