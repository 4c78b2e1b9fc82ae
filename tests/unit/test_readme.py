"""The README names settings, targets and reasons that exist."""

import re
from pathlib import Path

from shared.settings import Settings
from shared.vitals import Reason

README = (Path(__file__).parents[2] / "README.md").read_text()
MAKEFILE = (Path(__file__).parents[2] / "Makefile").read_text()


def test_every_setting_is_in_the_readme_with_its_default() -> None:
    for name, field in Settings.model_fields.items():
        row = re.search(rf"^\| `{name.upper()}` \| (.*?) \| (.*?) \|$", README, re.MULTILINE)
        assert row, name
        default = "" if field.default in {None, ""} else f"`{field.default}`"
        assert row.groups() == (default, field.description), name


def test_every_make_target_that_the_readme_names_exists() -> None:
    for target in set(re.findall(r"make ([a-z][a-z-]*)", README)):
        assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), target


def test_the_number_of_reasons_is_right() -> None:
    assert "twenty-seven reasons" in README
    assert len(Reason) == 27
