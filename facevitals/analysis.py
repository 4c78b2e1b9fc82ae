"""The analysis of clips in this process: `facevitals.analyze` and `facevitals.Analyzer`."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self, get_args

from facevitals.extras import worker_extra
from facevitals.local.isolated_settings import analysis_settings
from facevitals.waves import Waves
from shared.clips.rejection import ClipRejected
from shared.schemas import ErrorCode, JobDocument, JobState, Vitals, Waveforms
from shared.vitals import VITALS

if TYPE_CHECKING:
    from workers.analyzer import Analyzer as LoadedAnalyzer

#: Where the networks can run.
Device = Literal["auto", "cpu", "cuda"]
DEVICES: Final = get_args(Device)


@dataclass(frozen=True, eq=False)
class Analysis:
    """The result of analysing one clip.

    document    the job document, as `facevitals analyze --json` prints it
    waveforms   the waves and spectra as the HTTP interface serves them; `waves` has them as arrays
    tracebacks  of unexpected exceptions that ended a branch or the analysis; they may quote the clip's content
    """

    document: JobDocument
    waveforms: Waveforms = field(repr=False)
    tracebacks: tuple[str, ...] = field(default=(), repr=False)

    @property
    def vitals(self) -> Vitals:
        """The vitals, one attribute each: `vitals.heart_rate.value` is a number per minute, or None."""
        return self.document.vitals

    @property
    def waves(self) -> Waves:
        """The waves and spectra behind the vitals as numpy arrays; shapes and units: `Waves`."""
        return Waves.of(self.waveforms)

    def raise_for_state(self) -> Self:
        """Return this result, or raise why there is none. A vital that abstains, or one failed branch, is a result.

        Raises:
            ClipRejected: the clip can't be analysed.
            FileNotFoundError: the file can't be read.
            RuntimeError: an unexpected exception ended the analysis; a note of the error holds its traceback.
        """
        problem = self.document.error
        if self.document.state is JobState.SUCCEEDED or problem is None:
            return self
        if problem.code.rejects_clip:
            raise ClipRejected(problem.code, problem.detail)
        if problem.code is ErrorCode.CLIP_MISSING:
            raise FileNotFoundError(problem.detail)
        error = RuntimeError(problem.detail)
        for traceback in self.tracebacks:
            error.add_note(traceback)
        raise error


class Analyzer:
    """Analyses one clip after another with models that are loaded once.

    Use it as a context manager, or call `close`. One clip at a time: threads that share an analyzer wait for each
    other.

        with facevitals.Analyzer() as analyzer:
            for clip in clips:
                result = analyzer.analyze(clip)

    Options that are not given are read from the environment, as by `facevitals analyze`: the variables `FACEVITALS_…`
    of the analysis. Vitals whose model is not installed are `unavailable`.

    Args:
        estimators: the pulse estimator of a raw run, alone in a list. The verdict weighs the same evidence for every
            clip.
        raw: run a single estimator and report the rate that it finds, as `experimental` and without an interval:
            nothing confirms that it is that of a pulse. No other vital of the pulse is measured.
        models_dir: folder of model files. Networks that are built from installed weights are kept there.
        device: where the networks run.
        threads: threads of each network's run.

    Raises:
        ValueError: there is no estimator, one does not exist, some are named without `raw`, `raw` is given without
            exactly one, `device` or `threads` has no allowed value, or the file that `FACEVITALS_CALIBRATION`
            names can't be used.
        OSError: a model can't be read, or built in the folder of models, or the face mesh is missing.
        RuntimeError: `device` is `cuda`, and ONNX Runtime has no CUDA here.
        ModuleNotFoundError: the extra `worker` is not installed.
    """

    def __init__(
        self,
        *,
        estimators: Iterable[str] | None = None,
        raw: bool = False,
        models_dir: str | os.PathLike[str] | None = None,
        device: Device | None = None,
        threads: int | None = None,
    ) -> None:
        if device is not None and device not in DEVICES:
            raise ValueError(f"device must be one of {', '.join(DEVICES)}, not {device!r}")
        if threads is not None and threads < 1:
            raise ValueError(f"threads must be at least 1, not {threads}")
        with worker_extra("The analysis"):
            from workers.analyzer import Analyzer as LoadedAnalyzer
            from workers.analyzer import AnalyzerOptions
            from workers.models.build import ModelNotInstalled

        options = AnalyzerOptions.from_settings(analysis_settings())
        given: dict[str, Any] = {"device": device, "threads": threads}
        if estimators is not None:
            given["estimators"] = frozenset(_names(estimators))
        if models_dir is not None:
            given["models_dir"] = Path(models_dir).absolute()
        chosen = {name: value for name, value in given.items() if value is not None}
        self._turn = Lock()
        options = replace(options, rppg=replace(options.rppg, raw=raw), **chosen)
        try:
            self._analyzer: LoadedAnalyzer | None = LoadedAnalyzer.load(options)
        except ModelNotInstalled as missing:
            raise OSError(f"the face can't be found without its models: {missing}") from missing
        except OSError as error:
            # As an OSError itself: FileNotFoundError means that a clip can't be read.
            raise OSError(
                f"the models can't be loaded, or built in {options.models_dir}: {error}. Name a folder that can be "
                "written, with models_dir or FACEVITALS_MODELS_DIR."
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the models; the analyzer can't be used any more."""
        with self._turn:
            if self._analyzer is not None:
                self._analyzer.close()
            self._analyzer = None

    @property
    def refused_models(self) -> dict[str, str]:
        """Models that are installed and could not be loaded, by name, and why."""
        return self._loaded().refused_models

    def analyze(
        self, clip: str | os.PathLike[str], *, vitals: Iterable[str] | None = None, check: bool = True
    ) -> Analysis:
        """Analyse one clip.

        Args:
            clip: path of an MP4 or WebM file of 1 s to 120 s.
            vitals: names of the vitals to measure, by default all; the others are `abstained` with `not_requested`.
            check: raise where there is no result. With False the document has the state `failed` and an `error`.

        Raises:
            ValueError: a vital does not exist.
            RuntimeError: the analyzer is closed.
            ClipRejected, FileNotFoundError, RuntimeError: see `Analysis.raise_for_state`; only with `check`.
        """
        requested = None if vitals is None else checked_vitals(vitals)
        # Frames of two clips in one tracker give wrong landmarks.
        with self._turn:
            found = self._loaded().analyze(Path(clip), requested)
        analysis = Analysis(found.document, found.waveforms, found.tracebacks)
        return analysis.raise_for_state() if check else analysis

    def _loaded(self) -> "LoadedAnalyzer":
        if self._analyzer is None:
            raise RuntimeError("the analyzer is closed")
        return self._analyzer


def analyze(
    clip: str | os.PathLike[str],
    *,
    vitals: Iterable[str] | None = None,
    estimators: Iterable[str] | None = None,
    raw: bool = False,
) -> Analysis:
    """Analyse one clip, with models loaded for it alone; for more than one clip use `Analyzer`.

    Args:
        clip: path of an MP4 or WebM file of 1 s to 120 s.
        vitals: names of the vitals to measure, by default all; the others are `abstained` with `not_requested`.
        estimators: the estimator of a raw run.
        raw: report the rate of a single estimator, unconfirmed; see `Analyzer`.

    Raises:
        ClipRejected: the clip can't be analysed: no video, too short, too large; `code` and `detail` state which.
        FileNotFoundError: the file can't be read.
        OSError: a model can't be read, or built in the folder of models.
        ValueError: a vital or an estimator does not exist, or does not go with `raw`; see `Analyzer`.
        ModuleNotFoundError: the extra `worker` is not installed.
        RuntimeError: an unexpected exception ended the analysis.
    """
    requested = None if vitals is None else checked_vitals(vitals)
    with Analyzer(estimators=estimators, raw=raw) as analyzer:
        return analyzer.analyze(clip, vitals=requested)


def checked_vitals(names: Iterable[str]) -> list[str]:
    """The names of vitals as a list.

    Raises:
        ValueError: there is none, or one does not exist.
    """
    requested = _names(names)
    unknown = [name for name in requested if name not in VITALS]
    if unknown or not requested:
        wrong = f"unknown vitals: {', '.join(unknown)}" if unknown else "no vital is named"
        raise ValueError(f"{wrong}; known: {', '.join(VITALS)}")
    return requested


def _names(names: Iterable[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)
