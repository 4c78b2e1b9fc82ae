"""40 clips by two renderers, rendered, encoded, measured and judged: what is reported, and what must not be."""

import os
import sys
from pathlib import Path

import pytest

from lab.bench.answers import Answer, answer
from lab.bench.trust import lifeless, strata
from lab.render import measured

SEED = os.environ.get("SEED", "1")
#: Clips of each stratum by each renderer. The shipped portrait has light skin: `dark` needs others.
LIVING = ("still", "motion", "speech", "low_light", "processing")
PICTURES = ("photo_light", "photo_call", "print_moved", "doll")


@pytest.fixture(name="answers", scope="module")
def _answers(tmp_path_factory: pytest.TempPathFactory) -> list[Answer]:
    rows = tmp_path_factory.mktemp("rows")
    for renderer in ("warp", "head3d"):
        for strata_of, count in (((*LIVING, *PICTURES), "2"), (("covered", "wall"), "1")):
            options = [
                "--without-networks",
                "--renderer",
                renderer,
                "--seed",
                SEED,
                "--count",
                count,
                "--strata",
                *strata_of,
            ]
            assert measured.main([str(rows), "--jobs", str(os.cpu_count() or 1), *options]) == 0
    found = [answer(file) for file in sorted(rows.glob("*.truth.json"))]
    for report in (strata(found), lifeless(found)):
        report.write(Path("artefacts/world"))
        sys.stdout.write(f"\n{report.markdown}\n")
    return found


def test_there_are_forty_clips(answers: list[Answer]) -> None:
    assert len(answers) == 40
    assert sum(found.alive for found in answers) == 20


def test_nothing_lifeless_has_a_heart_rate_or_breath(answers: list[Answer]) -> None:
    assert not [found.name for found in answers if not found.alive and found.reported is not None]
    assert not [found.name for found in answers if not found.alive and found.respiration is not None]


def test_no_heart_rate_is_wrong(answers: list[Answer]) -> None:
    assert not [(found.name, found.reported, found.rate_per_min) for found in answers if found.alive and found.wrong]


def test_still_people_get_a_heart_rate(answers: list[Answer]) -> None:
    still = [found for found in answers if found.truth["conditions"]["stratum"] == "still"]
    assert [found.name for found in still if found.reported is not None]
