"""Settings of a service that one command starts for itself: `facevitals run`, `facevitals bench …`."""

from pathlib import Path
from typing import Any, Final

from shared.settings import Settings

#: Read from the environment: how a clip is analysed, how long that may take, what is logged and how.
FROM_ENVIRONMENT: Final = frozenset(
    {
        *("models_dir", "deepface_home", "deepface_backend", "open_models_only", "device", "threads"),
        *("age_aggregate", "bmi_from_face", "liveness_pass", "liveness_fail", "liveness_decides"),
        *("spo2_a", "spo2_b", "spo2_sd", "calibration", "stress_sdnn_ms", "stress_lf_hf"),
        *("ollama_url", "ollama_model", "ollama_timeout_s", "ollama_keep_alive"),
        # The clip's lifetime has a lower bound that depends on the deadline, so they are taken together.
        *("max_wait_s", "job_deadline_s", "branch_soft_limit_s", "branch_hard_limit_s", "clip_ttl_s"),
        *("max_upload_mb", "clip_formats", "save_video_limit_s", "encrypt_clips", "log_format", "log_level"),
    }
)

#: Left at their defaults: they name other services, or decide who may use this one, and how much.
ISOLATED: Final = frozenset(
    {
        *("redis_url", "store_url", "data_dir", "host", "port", "otlp_endpoint"),
        *(
            "api_keys",
            "allow_open",
            "allow_hosts",
            "require_keys",
            "key_rate_per_min",
            "key_max_active",
            "key_max_batch",
            "cors_origins",
        ),
        *("webhook_secret", "webhook_allow", "webhook_retry_s"),
        *("batch_wait_s", "max_batch_mb"),
        *("max_queued", "max_uploads", "client_timeout_s", "result_ttl_s", "max_tasks_per_child", "audit_log"),
    }
)


def analysis_settings() -> Settings:
    """The settings of an analysis in this process: `FROM_ENVIRONMENT`, and of `ISOLATED` the data folder.

    Clips of all formats are read, whatever the environment's service accepts.

    Raises:
        ValidationError: a variable of `FROM_ENVIRONMENT` has an invalid value.
    """
    defaults = {name: value for name, value in _defaults().items() if name != "data_dir"}
    return Settings(**{**defaults, "clip_formats": "all"})


def isolated_settings(folder: Path, **chosen: Any) -> Settings:  # noqa: ANN401  (whatever each setting's type is)
    """The settings of a service for this machine only, with broker and store in `folder`, on a free port.

    `chosen`: settings by name that replace these. The models are those of the environment's settings.

    Raises:
        ValidationError: a variable of `FROM_ENVIRONMENT` has an invalid value.
    """
    # The models folder depends on the data folder, which the environment names for its own service.
    models = analysis_settings().models_path
    return Settings(**{**_defaults(), "port": 0, "data_dir": folder, "models_dir": models, **chosen})


def _defaults() -> dict[str, Any]:
    return {name: Settings.model_fields[name].default for name in ISOLATED}
