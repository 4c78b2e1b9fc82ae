"""A program that uses every public name. mypy checks it in `make check`, and against the wheel in `make test-wheel`."""

from typing import Literal, assert_type

import numpy as np
from numpy.typing import NDArray

import facevitals


def analyze_one(path: str) -> float | None:
    result = facevitals.analyze(path, vitals=["heart_rate"], estimators=("pos",), raw=True)
    assert_type(result, facevitals.Analysis)
    assert_type(result.document, facevitals.JobDocument)
    assert_type(result.vitals.heart_rate.value, float | None)
    assert_type(result.vitals.heart_rate.interval, tuple[float, float] | None)
    assert_type(result.vitals.gender.value, Literal["female", "male"] | None)
    if result.vitals.heart_rate_variability.value is not None:
        assert_type(result.vitals.heart_rate_variability.value.sdnn_ms.value, float | None)
    if result.waves.pulse is not None:
        assert_type(result.waves.pulse.times_s, NDArray[np.float64])
    if result.waves.pulse_spectrum is not None:
        assert_type(result.waves.pulse_spectrum.frequencies_hz, NDArray[np.float64])
    return result.vitals.heart_rate.value


def analyze_many(paths: list[str]) -> list[str]:
    refusals = []
    with facevitals.Analyzer(device="cpu", threads=1) as analyzer:
        assert_type(analyzer, facevitals.Analyzer)
        for path in paths:
            try:
                analyzer.analyze(path)
            except facevitals.ClipRejected as rejected:
                refusals.append(f"{rejected.code.value}: {rejected.detail}")
    return refusals


def make_clip(path: str) -> float | None:
    truth = facevitals.simulate(path, heart_rate=72, respiration_rate=15, seed=1, skin_tone=5, kind="live")
    assert_type(truth.beat_times_s, tuple[float, ...])
    return truth.heart_rate


def submit(url: str, path: str) -> str:
    with facevitals.Client(url, api_key="key") as client:
        try:
            job_id = client.submit(path, vitals=["heart_rate", "age"])
        except facevitals.ClientError as error:
            return str(error)
        for event in client.events(job_id):
            assert_type(event.name, str)
        document = client.wait(job_id, timeout_s=60)
        assert_type(document, facevitals.JobDocument)
        client.delete(job_id)
    return facevitals.__version__
