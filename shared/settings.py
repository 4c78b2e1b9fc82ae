"""Settings: environment variables `FACEVITALS_…`, read once into one typed object per process."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

#: What the names of all environment variables of this project begin with.
PREFIX: Final = "FACEVITALS_"


class Settings(BaseSettings):
    """Every setting, with its default. `FACEVITALS_PORT=9000` sets `port`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    host: str = Field("127.0.0.1", description="address the gateway listens on")
    port: int = Field(8000, ge=0, le=65535, description="port the gateway listens on; 0 takes a free one")
    redis_url: str = Field(
        "", description="Redis 7 or Valkey, redis://…; empty: `up` and `run` start an embedded Valkey"
    )
    store_url: str = Field(
        "", description="where clips lie: file:///folder or s3://bucket/prefix; empty: DATA_DIR/clips"
    )
    encrypt_clips: bool = Field(False, description="encrypt each clip in the store under a key of its job's own")
    data_dir: Path = Field(
        Path(".facevitals"), description="folder of the embedded broker, the local store and built models"
    )
    models_dir: Path | None = Field(None, description="folder of model files; empty: DATA_DIR/models")
    api_keys: str = Field("", description="comma-separated keys; empty: open, for loopback only")
    allow_open: bool = Field(False, description="let a gateway without keys serve others than this machine")
    allow_hosts: str = Field(
        "", description="comma-separated names that a gateway without keys has besides localhost; ALLOW_OPEN alone: any"
    )
    require_keys: bool = Field(False, description="ask for a key of `facevitals keys` wherever the gateway listens")
    key_rate_per_min: int = Field(120, ge=0, description="clips a minute from one key before 429; 0: no limit")
    key_max_active: int = Field(200, ge=0, description="one key's jobs waiting or running before 429; 0: no limit")
    cors_origins: str = Field("", description="comma-separated origins whose pages may call, as https://app.example")
    webhook_secret: str = Field(
        "", description="whsec_…: signs webhooks of jobs without a key of `facevitals keys`; empty: those get none"
    )
    webhook_allow: str = Field("", description="comma-separated networks that webhooks may reach though not public")
    webhook_retry_s: float = Field(5, gt=0, description="seconds before a webhook's first retry; each later wait is 6x")
    max_upload_mb: int = Field(50, ge=1, description="largest upload, in 10^6 bytes")
    max_uploads: int = Field(50, ge=1, description="bodies that a gateway receives at once; others wait, then get 503")
    client_timeout_s: int = Field(
        15, ge=1, description="seconds a client may take for a request's header, and be silent in its body, before 408"
    )
    max_queued: int = Field(10_000, ge=1, description="jobs waiting or running before uploads are answered 429")
    result_ttl_s: int = Field(86_400, ge=60, description="how long documents, events and waveforms are kept")
    clip_ttl_s: int = Field(3_600, ge=10, description="how long a clip may lie at most, retained or forgotten")
    max_wait_s: float = Field(
        300,
        gt=1,
        description="expected wait for a worker from which on uploads are answered 429; a job that has waited twice as "
        "long ends as queue_timeout",
    )
    job_deadline_s: float = Field(
        90, gt=1, description="seconds that a worker has for a branch, and that a job waits where a queue has no worker"
    )
    save_video_limit_s: float = Field(
        285, gt=0, le=285, description="seconds until `/save_video` answers, whatever it does; proxies need a few more"
    )
    branch_soft_limit_s: float = Field(40, gt=0, description="seconds after which a branch is told to stop")
    branch_hard_limit_s: float = Field(45, gt=0, description="seconds after which a branch's process is killed")
    max_tasks_per_child: int = Field(200, ge=1, description="jobs after which a worker process is renewed")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="where models run; auto takes CUDA where requirements/gpu.lock is installed"
    )
    threads: int = Field(2, ge=1, description="threads that a worker process uses for a model")
    age_aggregate: Literal["median", "max"] = Field(
        "median", description="how portraits' ages become one (max: the original's)"
    )
    liveness_pass: float = Field(0.99, gt=0.5, lt=1, description="P(live) from which on checks.liveness passes")
    liveness_fail: float = Field(0.05, gt=0, lt=0.5, description="P(live) up to which checks.liveness fails")
    liveness_decides: bool = Field(
        True, description="no vital of a pulse is told where checks.liveness fails; false: it only warns"
    )
    bmi_from_face: bool = Field(True, description="tell a BMI from the face's proportions (experimental, wide)")
    spo2_a: float = Field(113.6, description="A of SpO2 = A - B·R, per cent; `python -m lab.calibrate.oxygen` fits it")
    spo2_b: float = Field(26.0, description="B of SpO2 = A - B·R, per cent")
    spo2_sd: float = Field(6.0, gt=0, description="what that formula leaves between people and clips, per cent")
    stress_sdnn_ms: float = Field(50.0, gt=0, description="SDNN below this speaks for stress, ms")
    stress_lf_hf: float = Field(2.5, gt=0, description="LF/HF above this speaks for stress")
    open_models_only: bool = Field(False, description="leave out every model whose licence is not an open one")
    ollama_url: str = Field("", description="Ollama's address; set, one portrait a clip is sent there for the gender")
    ollama_model: str = Field("llava:13b", description="vision model that Ollama is asked for")
    ollama_timeout_s: float = Field(15.0, gt=0, le=60, description="seconds until the local models answer instead")
    ollama_keep_alive: str = Field("30m", description="how long Ollama keeps the model loaded after a question")
    deepface_home: Path | None = Field(
        None, description="folder of DeepFace's .deepface/weights; empty: the models folder"
    )
    deepface_backend: Literal["onnx", "pytorch", "tensorflow", "off"] = Field(
        "onnx",
        description="what runs DeepFace's age and gender where their weights were fetched, or off",
    )
    otlp_endpoint: str = Field(
        "", description="collector of OpenTelemetry traces, as http://collector:4318; empty: none"
    )
    log_format: Literal["console", "json"] = Field("console", description="how log lines look")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least severe log line")

    @field_validator("models_dir", "deepface_home", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        # `FACEVITALS_MODELS_DIR=` is how an environment says "none"; as a path it would be the working directory.
        return None if value == "" else value

    @model_validator(mode="after")
    def _a_clip_lives_as_long_as_its_job(self) -> Self:
        # The sweep erases up to a tenth early, and the clip is older than its job by the length of an upload.
        if self.clip_ttl_s < (least := 1.2 * self.longest_job_s):
            raise ValueError(
                f"FACEVITALS_CLIP_TTL_S must be {least:.0f} or more, 1.2 times what a job may wait (2 x "
                "FACEVITALS_MAX_WAIT_S) and be worked on (2 x FACEVITALS_JOB_DEADLINE_S): clips would go first."
            )
        return self

    def environment(self) -> dict[str, str]:
        """Every setting as its environment variable: a process that is started with them has these very settings."""
        return {f"{PREFIX}{name.upper()}": _as_variable(getattr(self, name)) for name in type(self).model_fields}

    @property
    def wait_limit_s(self) -> float:
        """Seconds that a job waits for a worker at most: what is admitted by an expected wait may find it doubled."""
        return 2 * self.max_wait_s

    @property
    def longest_job_s(self) -> float:
        """Seconds from a job's making until all of it is over, whatever happens: its wait, and two tries."""
        return self.wait_limit_s + 2 * self.job_deadline_s

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that the settings name."""
        return _listed(self.api_keys)

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins whose pages may call."""
        return _listed(self.cors_origins)

    @property
    def hosts(self) -> tuple[str, ...]:
        """Names besides localhost to which a gateway without keys answers."""
        return _listed(self.allow_hosts.lower())

    @property
    def webhook_networks(self) -> tuple[str, ...]:
        """Networks that webhooks may reach though not public."""
        return _listed(self.webhook_allow)

    @property
    def models_path(self) -> Path:
        """Folder of model files, absolute."""
        return (self.models_dir or self.data_dir / "models").absolute()

    @property
    def deepface_path(self) -> Path:
        """Folder of DeepFace's `.deepface/weights`, absolute."""
        return self.deepface_home.absolute() if self.deepface_home else self.models_path

    @property
    def store(self) -> str:
        """The store's URL, never empty."""
        return self.store_url or (self.data_dir / "clips").absolute().as_uri()

    @property
    def max_upload_bytes(self) -> int:
        """Largest upload in bytes."""
        return self.max_upload_mb * 1_000_000


def _as_variable(value: object) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, str | Path) else json.dumps(value)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(",") if item.strip())


@lru_cache
def settings() -> Settings:
    """This process's settings, read at the first call."""
    return Settings()
