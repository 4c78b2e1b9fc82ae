"""Writes web/src/api/contract.ts: the constants of `shared` that the page uses, so that the two agree."""

import json
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Final

from shared import schemas, vitals

TARGET: Final = Path(__file__).parent.parent / "web" / "src" / "api" / "contract.ts"


def contract() -> str:
    """The module's text."""
    enums: dict[str, Iterable[StrEnum]] = {
        "REASONS": vitals.Reason,
        "JOB_STATES": schemas.JobState,
        "VITAL_STATUSES": schemas.VitalStatus,
        "CHECK_STATUSES": schemas.CheckStatus,
        "BRANCH_STATUSES": schemas.BranchStatus,
        "ERROR_CODES": schemas.ErrorCode,
    }
    branches = {
        branch.value: [v.name for v in vitals.VITALS.values() if v.branch is branch] for branch in vitals.Branch
    }
    shortest = {spec.name: spec.minimum_s for spec in vitals.VITALS.values()}
    shortest |= {spec.name: spec.minimum_s for spec in vitals.VARIABILITY.values()}
    constants: dict[str, object] = {
        "VITALS": list(vitals.VITALS),
        "MEASURES": list(vitals.VARIABILITY),
        "CHECKS": list(vitals.CHECKS),
        **{name: [member.value for member in members] for name, members in enums.items()},
        "REJECTIONS": [code.value for code in schemas.ErrorCode if code.rejects_clip],
        "BRANCHES": branches,
        "SHORTEST_S": shortest,
        "SHORTEST_CLIP_S": vitals.SHORTEST_CLIP_S,
        "LONGEST_CLIP_S": vitals.LONGEST_CLIP_S,
    }
    lines = ["// Written by tools/web_contract.py from shared/; a test compares.", ""]
    lines += [f"export const {name} = {json.dumps(value)} as const" for name, value in constants.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TARGET.write_text(contract())
