"""Whether a choice of estimators can confirm a rate at all: with too few of them the gate refuses every pulse."""

from collections.abc import Iterable, Sequence

from workers.rppg.fusion.agreement import FUSION, KNOTS_PER_MIN, Agreement, Estimate, agree
from workers.rppg.fusion.gate import GATE


def why_too_few(names: Iterable[str]) -> str | None:
    """Return why the gate would refuse the rate of these estimators even if all of them found the same, or None."""
    voting = [name for name in names if name in FUSION.reliabilities]
    if not voting:
        return "none of them is calibrated, so none has a vote"
    best = max((_unanimous(voting, rate) for rate in KNOTS_PER_MIN.tolist()), key=lambda found: found.confidence)
    if best.confidence < GATE.min_confidence:
        return (
            f"even if all of them find the same rate the confidence in it is at most {best.confidence:.0%}, "
            f"and {GATE.min_confidence:.0%} is needed"
        )
    # MRC measures the colours of patches, which confirm blood in place of a second family.
    if GATE.too_few_signal_estimators(best) and "mrc" not in voting:
        return (
            f"{GATE.min_signal_families} independent estimators other than networks have to agree, and those that "
            "follow the same signal count once"
        )
    return None


def _unanimous(names: Sequence[str], rate_per_min: float) -> Agreement:
    """The agreement of estimators that all find a rate, those that look at parts of the face in a part as well."""
    estimates = [Estimate(name, rate_per_min, 0.0) for name in names]
    halves = [
        Estimate(name, rate_per_min, 0.0, part="half") for name in names if name in FUSION.consistent_across_halves
    ]
    return agree(estimates + halves, FUSION)
