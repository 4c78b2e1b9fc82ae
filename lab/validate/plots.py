"""Figures of a validation: Bland-Altman plots, and risk against coverage. They need matplotlib."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from lab.data.rows import Row
from lab.validate.figures import TOLERANCES, samples
from shared.vitals import VITALS

#: Dots an inch.
_DPI: Final = 130


def draw(rows: Sequence[Row], figures: dict[str, Any], folder: Path) -> list[str]:
    """Draw every figure that there is data for into `folder`; returns the files' names.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    drawn = [name for vital in figures["vitals"] if (name := _bland_altman(rows, figures, vital, folder))]
    if figures["risk_coverage"]:
        drawn.append(_risk_coverage(figures, folder))
    return drawn


def _bland_altman(rows: Sequence[Row], figures: dict[str, Any], vital: str, folder: Path) -> str | None:
    """The errors of a vital over the mean of value and reference, with bias and limits of agreement.

    Bland, Altman 1986, "Statistical methods for assessing agreement between two methods of clinical measurement",
    Lancet 327(8476):307.
    """
    import matplotlib.pyplot as plt

    errors = figures["vitals"][vital]["errors"]
    reported = [each for each in samples(rows, vital) if each.value is not None]
    if errors is None:
        return None
    value = np.array([each.value for each in reported], np.float64)
    true = np.array([each.reference for each in reported], np.float64)
    people = np.unique([each.subject for each in reported], return_inverse=True)[1]
    figure, axes = plt.subplots(figsize=(6.4, 4.4), constrained_layout=True)
    axes.scatter((value + true) / 2, value - true, s=14, c=people, cmap="tab20", alpha=0.8)
    levels = [errors["bias"], *(errors["limits"] or ())]
    for level, style in zip(levels, ("-", "--", "--"), strict=False):
        axes.axhline(level, color="0.3", linewidth=1, linestyle=style)
        axes.annotate(
            f"{level:+.2f}", (1.0, level), (4, 0), ("axes fraction", "data"), "offset points", fontsize=8, va="center"
        )
    title, unit = VITALS[vital].title, VITALS[vital].unit
    axes.set(
        title=f"{title}: {len(reported)} reported, {figures['vitals'][vital]['refused']} refused",
        xlabel=f"mean of reported and reference, {unit}",
        ylabel=f"reported minus reference, {unit}",
    )
    name = f"bland-altman-{vital.replace('_', '-')}.png"
    figure.savefig(folder / name, dpi=_DPI)
    plt.close(figure)
    return name


def _risk_coverage(figures: dict[str, Any], folder: Path) -> str:
    """Share of wrong heart rates against coverage by the log odds of a pulse, and the verdict's own point."""
    import matplotlib.pyplot as plt

    curve, rate = figures["risk_coverage"], figures["vitals"]["heart_rate"]
    figure, axes = plt.subplots(figsize=(6.4, 4.4), constrained_layout=True)
    coverage = [100 * point["coverage"] for point in curve]
    axes.plot(coverage, [100 * point["wrong"] for point in curve], color="tab:blue", label="by log odds of a pulse")
    if rate["errors"]:
        share = rate["errors"]["wrong"] / rate["errors"]["n"]
        axes.plot(100 * rate["coverage"], 100 * share, "o", color="tab:red", label="as reported")
    axes.set(
        title="Heart rate: risk against coverage",
        xlabel="windows reported, %",
        ylabel=f"of these off by more than {TOLERANCES['heart_rate']:g} /min, %",
        xlim=(0, 102),
    )
    axes.set_ylim(bottom=-0.5)
    axes.legend()
    name = "risk-coverage.png"
    figure.savefig(folder / name, dpi=_DPI)
    plt.close(figure)
    return name
