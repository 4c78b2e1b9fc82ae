"""The whole product on small recordings: one row a window, continued where it stopped, one bad recording alone."""

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from facevitals.cli.app import app
from facevitals.local.isolated_settings import analysis_settings
from lab.data.datasets import labelled_in
from lab.data.labelled import LabelledRecording, clip_frames
from lab.simulate import ClipSpec, simulate
from lab.validate.journal import Journal, is_window
from lab.validate.run import journal_of, measure_recordings
from tests.unit.data.layouts import write_avi, write_table
from workers.analyzer import Analyzer, AnalyzerOptions
from workers.media.clip import Frame
from workers.rppg.fusion.recalibration import Recalibration
from workers.rppg.pipeline import RppgOptions

#: Short windows, of the shortest clip with a heart rate.
WINDOW_S = 8.0


@pytest.fixture(scope="module")
def options() -> AnalyzerOptions:
    return replace(AnalyzerOptions.from_settings(analysis_settings()), threads=1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A person in two windows and a rest, a wall, and a file that is no video."""
    folder = tmp_path_factory.mktemp("data")
    simulate(folder / "person.mp4", ClipSpec(heart_rate=84.0, duration_s=18.0, motion=0, width=320, height=240))
    write_avi(folder / "person.avi", [frame.rgb for frame in clip_frames(folder / "person.mp4")], "rawvideo")
    write_avi(folder / "wall.avi", [np.full((240, 320, 3), 110, np.uint8)] * 240, "ffv1")
    (folder / "broken.avi").write_bytes(b"no video")
    cells = {"heart_rate": 84, "respiration_rate": "", "age": 30, "sex": "f", "skin_type": 2, "condition": "rest"}
    rows = [{"file": name, "subject": name[:4], **cells} for name in ("person.avi", "wall.avi", "broken.avi")]
    write_table(folder / "recordings.csv", rows)
    return folder


def measured(data: Path, journal: Journal, options: AnalyzerOptions, jobs: int = 1) -> dict[str, str | None]:
    """Run a validation; the fault of each recording."""
    _, recordings = labelled_in(data)
    return dict(measure_recordings(recordings, journal, options, jobs=jobs, window_s=WINDOW_S))


@pytest.fixture(scope="module")
def journal(data: Path, options: AnalyzerOptions, tmp_path_factory: pytest.TempPathFactory) -> Journal:
    journal = journal_of(tmp_path_factory.mktemp("out"), options, WINDOW_S)
    faults = measured(data, journal, options)
    assert {name: why is None for name, why in faults.items()} == {
        "person.avi": True,
        "wall.avi": True,
        "broken.avi": False,
    }
    assert "broken.avi" in str(faults["broken.avi"])
    return journal


def windows_of(journal: Journal, file: str) -> list[dict[str, Any]]:
    return [row for row in journal.rows() if is_window(row) and row["file"] == file]


def test_every_whole_window_has_a_row(journal: Journal) -> None:
    rows = windows_of(journal, "person.avi")
    assert [(row["start_s"], row["frames"]) for row in rows] == [(0.0, 240), (8.0, 240)]
    for row in rows:
        assert row["subject"] == "pers"
        assert row["vitals"]["heart_rate"]["value"] == pytest.approx(84, abs=3)
        assert row["reference"] == {"heart_rate": 84.0}
        assert row["person"] == {"age": 30.0, "gender": "female", "skin_type": 2}
        assert row["candidate"]["heart_rate"] == pytest.approx(84, abs=3)
        assert row["candidate"]["pulse_log_odds"] >= row["candidate"]["min_log_odds"]
        assert row["candidate"]["refused_otherwise"] is None
    (wall,) = windows_of(journal, "wall.avi")
    assert (wall["vitals"]["heart_rate"]["reason"], wall["candidate"]) == ("no_face", None)


def test_a_window_gives_what_the_product_reports_for_a_clip_of_its_frames(
    journal: Journal, data: Path, options: AnalyzerOptions, tmp_path: Path
) -> None:
    _, (person, *_) = labelled_in(data)
    inside = [frame.rgb for frame in person.frames() if 8 <= frame.time_s < 16]
    write_avi(tmp_path / "window.avi", inside, "rawvideo")
    document = Analyzer.load(options).analyze(tmp_path / "window.avi").document
    row = windows_of(journal, "person.avi")[1]
    rate = document.vitals.heart_rate
    assert rate.value is not None
    assert (rate.value, list(rate.interval or ())) == tuple(
        row["vitals"]["heart_rate"][k] for k in ("value", "interval")
    )
    assert document.vitals.respiration_rate.reason == row["vitals"]["respiration_rate"]["reason"] == "clip_too_short"


def test_age_gender_and_bmi_are_measured_once_for_a_recording(journal: Journal) -> None:
    first, second = windows_of(journal, "person.avi")
    assert {"age", "gender", "bmi"} <= first["vitals"].keys()
    values = [name for name in ("age", "gender", "bmi") if "value" in first["vitals"][name]]
    assert bool(values) != ("age" in second["vitals"]), "again only where the first window gave none"


def test_windows_in_the_journal_are_not_measured_again(
    journal: Journal, data: Path, options: AnalyzerOptions, tmp_path: Path
) -> None:
    lines = journal.path.read_text().splitlines()
    second = journal_of(tmp_path, options, WINDOW_S)
    # Interrupted while the second window of the first recording was written.
    kept = next(index for index, line in enumerate(lines) if json.loads(line)["start_s"] == 8.0)
    second.path.write_text("\n".join(lines[:kept]) + "\n" + lines[kept][:40])
    measured(data, second, options)
    added = [json.loads(line) for line in second.path.read_text().splitlines()[kept + 1 :]]
    assert [(row["kind"], row["file"], row.get("start_s")) for row in added] == [
        ("window", "person.avi", 8.0),
        ("recording", "person.avi", None),
        ("window", "wall.avi", 0.0),
        ("recording", "wall.avi", None),
        ("recording", "broken.avi", None),
    ]
    assert second.rows()[0]["error"] is not None
    assert [row["vitals"]["heart_rate"] for row in windows_of(second, "person.avi")] == [
        row["vitals"]["heart_rate"] for row in windows_of(journal, "person.avi")
    ]


def test_a_finished_recording_is_not_read_again_and_a_broken_one_is(
    journal: Journal, data: Path, options: AnalyzerOptions
) -> None:
    read = []

    def watched(recording: LabelledRecording) -> LabelledRecording:
        def frames() -> Iterator[Frame]:
            read.append(recording.name)
            return recording.frames()

        return replace(recording, frames=frames)

    recordings = [watched(each) for each in labelled_in(data)[1]]
    before = windows_of(journal, "person.avi")
    list(measure_recordings(recordings, journal, options, window_s=WINDOW_S))
    assert read == ["broken.avi"]
    assert windows_of(journal, "person.avi") == before


def test_corrected_references_reach_rows_that_were_measured_before(
    journal: Journal, data: Path, options: AnalyzerOptions, tmp_path: Path
) -> None:
    shutil.copytree(data, tmp_path / "data")
    corrected = journal_of(tmp_path / "out", options, WINDOW_S)
    shutil.copy(journal.path, corrected.path)
    table = tmp_path / "data" / "recordings.csv"
    table.write_text(table.read_text().replace("person.avi,pers,84,,30,f,2", "person.avi,anna,90,15,31,f,"))
    (tmp_path / "data" / "person.avi").unlink()
    assert measured(tmp_path / "data", corrected, options)["person.avi"] is None
    rows = windows_of(corrected, "person.avi")
    assert [row["reference"] for row in rows] == [{"heart_rate": 90.0, "respiration_rate": 15.0}] * 2
    assert [(row["subject"], row["person"]) for row in rows] == [("anna", {"age": 31.0, "gender": "female"})] * 2
    assert [row["vitals"] for row in rows] == [row["vitals"] for row in windows_of(journal, "person.avi")]
    (wall,) = windows_of(corrected, "wall.avi")
    assert wall == windows_of(journal, "wall.avi")[0]


def test_rows_of_other_code_or_windows_or_options_do_not_count(
    journal: Journal, options: AnalyzerOptions, tmp_path: Path
) -> None:
    shutil.copy(journal.path, tmp_path)
    assert journal_of(tmp_path, options, WINDOW_S).rows() == journal.rows()
    assert journal_of(tmp_path, replace(options, threads=7), WINDOW_S).rows() == journal.rows()
    assert journal_of(tmp_path, options, 15.0).rows() == []
    calibrated = RppgOptions(recalibration=Recalibration(verdict_offset=-1))
    for other in (replace(options, open_only=True), replace(options, rppg=calibrated)):
        assert journal_of(tmp_path, other, WINDOW_S).rows() == []
    text = journal.path.read_text().replace(journal.rows()[0]["code"], "earlier code")
    (tmp_path / journal.path.name).write_text(text)
    assert journal_of(tmp_path, options, WINDOW_S).rows() == []


def test_several_processes_give_the_same_rows(
    journal: Journal, data: Path, options: AnalyzerOptions, tmp_path: Path
) -> None:
    together = journal_of(tmp_path, options, WINDOW_S)
    measured(data, together, options, jobs=2)
    assert [row["vitals"] for row in together.rows() if is_window(row)] == [
        row["vitals"] for row in journal.rows() if is_window(row)
    ]


def test_the_command_writes_rows_report_and_figures(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    result = CliRunner().invoke(app, ["validate", str(data), "--out", str(out), "--only", "[pb]*.avi"])
    assert result.exit_code == 0, result.output
    assert "1 windows with a reference: heart rate reported in 1, refused in 0" in result.stdout
    assert "broken.avi could not be read" in result.stderr
    assert {path.name for path in out.iterdir()} == {
        "rows.jsonl",
        "report.md",
        "report.json",
        "bland-altman-heart-rate.png",
        "bland-altman-age.png",
        "risk-coverage.png",
    }
    report = json.loads((out / "report.json").read_text())
    assert (report["windows"], report["unreadable"], report["made_by"]["layout"]) == (1, 1, "CSV")
    assert report["vitals"]["heart_rate"]["errors"]["mae"] < 2
    assert "person.avi" not in (out / "report.json").read_text(), "it names no file"
    text = (out / "report.md").read_text()
    for part in ("Heart rate by skin type", "Gender by sex", "broken.avi", "bland-altman-heart-rate.png"):
        assert part in text
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    again = CliRunner().invoke(app, ["validate", str(data), "--out", str(out), "--only", "person.avi"])
    assert again.exit_code == 0, again.output
    assert "matplotlib is not installed" in again.stderr
    assert "bland-altman" not in (out / "report.md").read_text()


def test_the_command_names_what_is_wrong_with_the_data(data: Path, tmp_path: Path) -> None:
    missing = CliRunner().invoke(app, ["validate", str(tmp_path / "away")])
    assert missing.exit_code == 2
    assert "does not exist" in missing.stderr
    unmatched = CliRunner().invoke(app, ["validate", str(data), "--only", "*.mov"])
    assert unmatched.exit_code == 2
    assert "*.mov" in unmatched.stderr
    broken = CliRunner().invoke(app, ["validate", str(data), "--only", "broken.avi", "--out", str(tmp_path)])
    assert broken.exit_code == 1
    assert "None of the 1 recordings could be read" in broken.stderr
