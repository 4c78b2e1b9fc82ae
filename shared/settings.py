"""Settings from environment variables `FACEVITALS_…`, read once per process into a typed object."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

#: Prefix of the environment variables.
PREFIX: Final = "FACEVITALS_"
#: Longest wait of a batch job, seconds. A bucket's rule that erases forgotten clips counts in whole days.
MAX_BATCH_WAIT_S: Final = 72_000


class Settings(BaseSettings):
    """All settings with their defaults. `FACEVITALS_PORT=9000` sets `port`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    host: str = Field("127.0.0.1", description="address on which the gateway listens")
    port: int = Field(8000, ge=0, le=65535, description="port on which the gateway listens; 0 selects a free one")
    redis_url: str = Field(
        "", description="URL of Redis 7 or Valkey, redis://…; empty: `up` and `run` start an embedded Valkey"
    )
    store_url: str = Field(
        "", description="URL of the clip store, file:///folder or s3://bucket/prefix; empty: DATA_DIR/clips"
    )
    encrypt_clips: bool = Field(False, description="encrypt each clip in the store with a key of its own")
    data_dir: Path = Field(
        Path(".facevitals"), description="folder of the embedded broker, the local store and built models"
    )
    models_dir: Path | None = Field(None, description="folder of model files; empty: DATA_DIR/models")
    api_keys: str = Field("", description="comma-separated API keys; empty: no keys, and only loopback addresses")
    allow_open: bool = Field(False, description="let a gateway without keys serve other machines")
    allow_hosts: str = Field(
        "",
        description="comma-separated host names of a gateway without keys besides localhost; ALLOW_OPEN alone: any",
    )
    require_keys: bool = Field(False, description="require a key of `facevitals keys` on every address")
    key_rate_per_min: int = Field(120, ge=0, description="clips per minute from one key before 429; 0: no limit")
    key_max_active: int = Field(200, ge=0, description="waiting or running jobs of one key before 429; 0: no limit")
    key_max_batch: int = Field(
        1_000, ge=0, description="waiting or running batch jobs of one key before 429; 0: no limit"
    )
    cors_origins: str = Field(
        "", description="comma-separated origins that may call the API from a page, such as https://app.example"
    )
    webhook_secret: str = Field(
        "",
        description="whsec_…: signs webhooks of jobs without a key of `facevitals keys`; empty: those get none",
    )
    webhook_allow: str = Field("", description="comma-separated private networks that webhooks may reach")
    webhook_retry_s: float = Field(
        5, gt=0, description="seconds before a webhook's first retry; each later wait is 6 times as long"
    )
    max_upload_mb: int = Field(50, ge=1, description="largest upload, in 10^6 bytes")
    clip_formats: Literal["web", "all"] = Field(
        "web",
        description="web: clips of browsers and phones, MP4, MOV, WebM and Matroska with H.264, HEVC, VP8, VP9 or AV1; "
        "all: those of lab cameras as well (AVI, MPEG-TS, Motion JPEG, MPEG-4, ProRes, FFV1, raw), as `analyze` reads",
    )
    max_uploads: int = Field(50, ge=1, description="uploads that a gateway receives at once; others wait, then get 503")
    client_timeout_s: int = Field(
        15, ge=1, description="seconds for a request's header, and without data in its body, before 408"
    )
    max_queued: int = Field(
        10_000, ge=1, description="waiting or running jobs, without batch jobs, before uploads get 429"
    )
    result_ttl_s: int = Field(86_400, ge=60, description="seconds for which documents, events and waveforms are kept")
    clip_ttl_s: int = Field(
        3_600, ge=10, description="seconds after which a clip is erased in any case, retained ones included"
    )
    max_wait_s: float = Field(
        300,
        gt=1,
        description="expected seconds of waiting for a worker from which on uploads get 429; a job that waits twice as "
        "long ends with queue_timeout",
    )
    batch_wait_s: float = Field(
        21_600,
        gt=1,
        le=MAX_BATCH_WAIT_S,
        description="seconds that a job with priority=batch waits for a worker before it ends with queue_timeout",
    )
    max_batch_mb: int = Field(
        20_000,
        ge=1,
        description="clips of unfinished batch jobs, in 10^6 bytes, before uploads with priority=batch get 429",
    )
    job_deadline_s: float = Field(
        90, gt=1, description="seconds that a branch may take, and that a job waits for a queue without a worker"
    )
    save_video_limit_s: float = Field(
        285,
        gt=0,
        le=285,
        description="seconds after which `/save_video` responds in any case; proxies need a few more",
    )
    branch_soft_limit_s: float = Field(40, gt=0, description="seconds after which a branch is interrupted")
    branch_hard_limit_s: float = Field(45, gt=0, description="seconds after which the process of a branch is killed")
    max_tasks_per_child: int = Field(200, ge=1, description="jobs after which a worker process is replaced")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="device that runs the models; auto selects CUDA where requirements/gpu.lock is installed"
    )
    threads: int = Field(2, ge=1, description="threads per model in a worker process")
    age_aggregate: Literal["median", "max"] = Field(
        "median", description="how the ages of the portraits are combined (max: as in the original system)"
    )
    liveness_pass: float = Field(0.99, gt=0.5, lt=1, description="P(live) from which on checks.liveness passes")
    liveness_fail: float = Field(0.05, gt=0, lt=0.5, description="P(live) up to which checks.liveness fails")
    liveness_decides: bool = Field(
        True, description="report no vital of a pulse where checks.liveness fails; false: it only warns"
    )
    bmi_from_face: bool = Field(
        True, description="report a BMI from the face's proportions (experimental, wide interval)"
    )
    spo2_a: float = Field(
        113.6, description="A of SpO2 = A - B·R, in per cent; fitted by `python -m lab.calibrate.oxygen`"
    )
    spo2_b: float = Field(26.0, description="B of SpO2 = A - B·R, in per cent")
    spo2_sd: float = Field(6.0, gt=0, description="residual standard deviation of that formula, in per cent")
    calibration: Path | None = Field(
        None, description="file of `facevitals calibrate` that moves the verdict and the interval of the heart rate"
    )
    stress_sdnn_ms: float = Field(
        50.0, gt=0, description="SDNN in ms, adjusted to a heart at rest, below which stress is indicated"
    )
    stress_lf_hf: float = Field(2.5, gt=0, description="LF/HF above which stress is indicated")
    open_models_only: bool = Field(False, description="use only models with an open licence")
    ollama_url: str = Field(
        "", description="Ollama's URL; if set, one portrait of each clip is sent there for the gender"
    )
    ollama_model: str = Field("llava:13b", description="vision model that Ollama runs")
    ollama_timeout_s: float = Field(
        15.0, gt=0, le=60, description="seconds after which the local models are used instead"
    )
    ollama_keep_alive: str = Field("30m", description="how long Ollama keeps the model loaded after a request")
    deepface_home: Path | None = Field(
        None, description="folder that contains DeepFace's .deepface/weights; empty: the models folder"
    )
    deepface_backend: Literal["onnx", "pytorch", "tensorflow", "off"] = Field(
        "onnx",
        description="runtime of DeepFace's age and gender models where their weights are installed, or off",
    )
    otlp_endpoint: str = Field(
        "", description="OpenTelemetry collector, such as http://collector:4318; empty: no tracing"
    )
    log_format: Literal["console", "json"] = Field("console", description="format of log lines")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="lowest level that is logged")
    audit_log: Path | None = Field(
        None,
        description="file of the audit log, of gateways and commands; empty: among the gateway's other lines alone",
    )

    @field_validator("models_dir", "deepface_home", "calibration", "audit_log", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        # An empty variable means "not set"; as a path it would be the working directory.
        return None if value == "" else value

    @model_validator(mode="after")
    def _clip_outlives_its_job(self) -> Self:
        # The sweep erases clips up to a tenth early, and a clip is older than its job by the time of the upload.
        if self.clip_ttl_s < (minimum := 1.2 * self.longest_job_s):
            raise ValueError(
                f"FACEVITALS_CLIP_TTL_S must be {minimum:.0f} or more, 1.2 times what a job may wait (2 x "
                "FACEVITALS_MAX_WAIT_S) and be worked on (2 x FACEVITALS_JOB_DEADLINE_S): clips would go first."
            )
        return self

    def environment(self) -> dict[str, str]:
        """Return all settings as environment variables, for a child process with equal settings."""
        return {f"{PREFIX}{name.upper()}": _as_variable(getattr(self, name)) for name in type(self).model_fields}

    @property
    def wait_limit_s(self) -> float:
        """Longest wait of a job for a worker in seconds: twice the expected wait up to which jobs are admitted."""
        return 2 * self.max_wait_s

    @property
    def longest_job_s(self) -> float:
        """Longest time from a job's creation to its end in seconds: its wait, and two attempts."""
        return self.wait_limit_s + 2 * self.job_deadline_s

    @property
    def longest_batch_s(self) -> float:
        """Longest time from a batch job's creation to its end in seconds: its wait, and two attempts."""
        return self.batch_wait_s + 2 * self.job_deadline_s

    @property
    def max_batch_bytes(self) -> int:
        """Largest sum of the clips of unfinished batch jobs in bytes."""
        return self.max_batch_mb * 1_000_000

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys in `api_keys`."""
        return _split(self.api_keys)

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins in `cors_origins`."""
        return _split(self.cors_origins)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The host names in `allow_hosts`, in lower case."""
        return _split(self.allow_hosts.lower())

    @property
    def webhook_networks(self) -> tuple[str, ...]:
        """The networks in `webhook_allow`."""
        return _split(self.webhook_allow)

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
        """The clip store's URL, never empty."""
        return self.store_url or (self.data_dir / "clips").absolute().as_uri()

    @property
    def max_upload_bytes(self) -> int:
        """Largest upload in bytes."""
        return self.max_upload_mb * 1_000_000


def _as_variable(value: object) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, str | Path) else json.dumps(value)


def _split(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(",") if item.strip())


@lru_cache
def settings() -> Settings:
    """Return this process's settings, read from the environment at the first call."""
    return Settings()


def models_folder() -> Path:
    """Folder of model files that the environment names, absolute; what is set for a service is not read."""
    others = Settings.model_fields.keys() - {"data_dir", "models_dir"}
    return Settings(**{name: Settings.model_fields[name].get_default() for name in others}).models_path
