"""docs/examples/heart_rate_by_hand.ipynb runs from the first cell to the last, and finds the true rate."""

import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[3] / "docs/examples/heart_rate_by_hand.ipynb"


def cells() -> list[dict[str, Any]]:
    notebook = json.loads(NOTEBOOK.read_text())
    assert notebook["nbformat"] == 4
    found: list[dict[str, Any]] = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return found


def test_the_notebook_is_committed_without_outputs() -> None:
    for cell in cells():
        assert cell["outputs"] == []
        assert cell["execution_count"] is None


def test_the_notebook_finds_the_true_heart_rate() -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    for cell in cells():
        code = compile("".join(cell["source"]), f"{NOTEBOOK.name}, cell {cell['id']}", "exec")
        exec(code, names)  # noqa: S102  (our own notebook)
    truth = names["truth"].heart_rate
    assert names["rate_per_min"] == pytest.approx(truth, abs=3)
    assert names["vital"].value == pytest.approx(truth, abs=3)
    assert names["wave"].shape == names["traces"].times_s.shape
