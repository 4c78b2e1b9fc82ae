"""`python -m lab.bench.vision FACES`: age and gender on labelled portraits, and the constants that follow from them.

FACES is a folder as `lab.data.labelled_portraits` reads it. Pictures take the service's own path: mesh, portrait,
models. The constants of `workers.vision.age_gender.attribute_calibration` are fitted to them; every printed error is
held out, by tenfold cross-validation repeated five times.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lab.arrays import Floats
from lab.bench.age_gender import PortraitLabels
from lab.bench.age_gender_tables import ModelOutputs, age_table, bmi_table, gender_table
from lab.data.labelled_portraits import age_band, load_portraits
from lab.report import Report
from workers.face.portraits import Portrait
from workers.vision.age_gender.attribute_calibration import GENDER_CALIBRATIONS
from workers.vision.attribute_models import FACE_MODELS, VisionModels, VisionOptions
from workers.vision.bmi.proportions import FRONTAL, ratios


def main(arguments: Sequence[str] | None = None) -> int:
    """Print tables and constants; the last line printed is one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m lab.bench.vision", description=__doc__)
    parser.add_argument("faces", type=Path)
    options = parser.parse_args(arguments)
    tables, missed = attribute_tables(options.faces)
    for table in tables:
        sys.stdout.write(table.markdown + "\n")
    sys.stdout.write(json.dumps({"no mesh": missed, **{table.name: table.summary for table in tables}}) + "\n")
    return 0


def attribute_tables(folder: Path) -> tuple[list[Report], int]:
    """Tables of age, gender and BMI on a folder's portraits, and the number of pictures without a face."""
    outputs, missed = model_outputs(folder)
    tables = [age_table(model, raw, outputs.truth) for model, raw in outputs.ages.items()]
    tables += [
        gender_table(models, outputs)
        for models in GENDER_CALIBRATIONS
        if all(model in outputs.log_odds for model in models)
    ]
    return [*tables, bmi_table(outputs.ratios)], missed


def model_outputs(folder: Path) -> tuple[ModelOutputs, int]:
    """The models' outputs for every picture with a face, and the number of pictures without one."""
    portraits, labels, missed = load_portraits(folder)
    low, high = (np.array(column) for column in zip(*(age_band(label["age_band"]) for label in labels), strict=True))
    truth = PortraitLabels(low, high, np.array([label["gender"] == "male" for label in labels]))
    with tempfile.TemporaryDirectory() as models_dir:
        models = VisionModels.load(VisionOptions(Path(models_dir)), only_used=False)
    ages: dict[str, Floats] = {}
    log_odds: dict[str, Floats] = {}
    for spec in FACE_MODELS:
        if spec.model not in models.networks:
            continue
        # One portrait at a time: each is a person of its own, and gets all of the model's views.
        outputs = [spec.predict([portrait], models.networks[spec.model]) for portrait in portraits]
        if outputs[0].ages is not None:
            ages[spec.model] = np.array([output.ages[0] for output in outputs if output.ages is not None], np.float64)
        if outputs[0].log_odds is not None:
            log_odds[spec.model] = np.array(
                [output.log_odds[0] for output in outputs if output.log_odds is not None], np.float64
            )
    adults = [portrait for portrait, adult in zip(portraits, truth.adult, strict=True) if adult]
    return ModelOutputs(ages, log_odds, truth, _ratios(adults)), missed


def _ratios(adults: Sequence[Portrait]) -> Floats:
    """Face ratios (m, 7) of the adults who look straight ahead."""
    return np.array([ratios(adult.landmarks) for adult in adults if adult.frontality >= FRONTAL]).reshape(-1, 7)


if __name__ == "__main__":
    sys.exit(main())
