"""docs/python.md: its programs run, and its table names what is public."""

import re
from pathlib import Path
from typing import Any

import pytest

import facevitals

PAGE = (Path(__file__).parents[3] / "docs/python.md").read_text()
PROGRAMS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_its_programs_run_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FACEVITALS_MODELS_DIR", str(Path(".facevitals/models").absolute()))
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    ran = [program for program in PROGRAMS if "facevitals.Client(" not in program]
    assert len(ran) == 3
    for number, program in enumerate(ran):
        exec(compile(program, f"docs/python.md, program {number}", "exec"), names)  # noqa: S102  (our own page)
    assert names["heart_rate"].value == pytest.approx(names["truth"].heart_rate, abs=3)
    output = capsys.readouterr().out
    assert "clip.truth.json container_not_allowed" in output
    by_hand, truth = map(float, output.splitlines()[-1].split())
    assert by_hand == pytest.approx(truth, abs=3)


def test_the_table_has_every_public_name() -> None:
    rows = "\n".join(line for line in PAGE.splitlines() if line.startswith("| `"))
    for name in facevitals.__all__:
        assert re.search(rf"`{re.escape(name)}[`(]", rows), name
