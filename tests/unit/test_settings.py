"""Settings reach child processes; isolated services inherit only some of them."""

import json
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import pytest

from facevitals.local.isolated_settings import FROM_ENVIRONMENT, ISOLATED, isolated_settings
from facevitals.local.processes import start_child
from shared.settings import PREFIX, Settings, models_folder

#: Values for fields where an arbitrary value of the type is not valid.
CHOSEN: dict[str, Any] = {
    "liveness_pass": 0.97,
    "liveness_fail": 0.07,
    "ollama_timeout_s": 0.1 + 0.2,
    "clip_ttl_s": 4321,
    "api_keys": "a key,\n\"another\" 'one' $HOME = ü",
}


AT_MAXIMUM = {"save_video_limit_s"}


def another(name: str, annotation: Any, default: Any) -> Any:  # noqa: ANN401
    """Return a valid value other than the default; fail for an unknown type."""
    if name in CHOSEN:
        return CHOSEN[name]
    if get_origin(annotation) in {Union, types.UnionType}:
        return another(name, next(kind for kind in get_args(annotation) if kind is not type(None)), default)
    if get_origin(annotation) is Literal:
        return next(value for value in get_args(annotation) if value != default)
    if annotation in {int, float}:
        # Some are at their upper bound.
        return annotation(default - 1 if name in AT_MAXIMUM else default + 1)
    if annotation in {bool, str, Path}:
        return {bool: not default, str: f"{default} other", Path: Path("a folder/of.models")}[annotation]
    pytest.fail(f"{name}: say here how a {annotation} that is not the default looks")


def others() -> dict[str, Any]:
    """Return a value other than the default for every field."""
    fields = Settings.model_fields.items()
    values = {name: another(name, field.annotation, field.default) for name, field in fields}
    assert all(values[name] != field.default for name, field in fields)
    return values


def settings_of_a_child(settings: Settings, folder: Path) -> Settings:
    seen = folder / "seen.json"
    program = (
        "import sys; from pathlib import Path; from shared.settings import settings;"
        "Path(sys.argv[1]).write_text(settings().model_dump_json())"
    )
    child = start_child("child", [sys.executable, "-c", program, str(seen)], env=settings.environment())
    assert child.process.wait(60) == 0
    # By name, so that this process's environment has no influence.
    return Settings(**json.loads(seen.read_text()))


def test_a_child_process_has_equal_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    all_other = Settings(**others())
    # The parent's environment has other values, one in lower case, which pydantic accepts as well.
    monkeypatch.setenv("FACEVITALS_DEEPFACE_HOME", "/elsewhere")
    monkeypatch.setenv("facevitals_port", "1")
    monkeypatch.setenv("FACEVITALS_REQUIRE_KEYS", "false")
    assert settings_of_a_child(all_other, tmp_path) == all_other


def test_defaults_reach_a_child_process_despite_its_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    defaults = Settings(**{name: field.default for name, field in Settings.model_fields.items()})
    for name, value in Settings(**others()).environment().items():
        monkeypatch.setenv(name, value)
    assert settings_of_a_child(defaults, tmp_path) == defaults


def test_an_empty_variable_is_not_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEVITALS_MODELS_DIR", "")
    monkeypatch.setenv("FACEVITALS_DEEPFACE_HOME", "")
    assert (Settings().models_dir, Settings().deepface_home) == (None, None)


def test_the_models_folder_is_read_whatever_else_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEVITALS_MAX_QUEUED", "nonsense")
    monkeypatch.delenv("FACEVITALS_MODELS_DIR", raising=False)
    assert models_folder() == Path(".facevitals/models").absolute()
    monkeypatch.setenv("FACEVITALS_DATA_DIR", str(tmp_path))
    assert models_folder() == tmp_path / "models"
    monkeypatch.setenv("FACEVITALS_MODELS_DIR", str(tmp_path / "m"))
    assert models_folder() == tmp_path / "m"


def test_every_setting_is_listed_as_isolated_or_inherited() -> None:
    assert not FROM_ENVIRONMENT & ISOLATED
    assert set(Settings.model_fields) == FROM_ENVIRONMENT | ISOLATED


def test_an_isolated_service_inherits_only_settings_of_the_analysis(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = others()
    for name, value in Settings(**values).environment().items():
        monkeypatch.setenv(name, value)
    # Invalid, to show that a setting that is not inherited can't stop the command.
    for name in ("PORT", "KEY_RATE_PER_MIN", "REQUIRE_KEYS", "WEBHOOK_RETRY_S"):
        monkeypatch.setenv(f"{PREFIX}{name}", "nonsense")
    own = isolated_settings(tmp_path)
    for name in FROM_ENVIRONMENT - {"models_dir"}:
        assert getattr(own, name) == values[name], name
    assert own.models_dir == values["models_dir"].absolute()
    for name in ISOLATED - {"data_dir", "port"}:
        assert getattr(own, name) == Settings.model_fields[name].default, name
    assert (own.data_dir, own.port) == (tmp_path, 0)


def test_an_isolated_service_uses_the_models_of_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEVITALS_DATA_DIR", str(tmp_path / "theirs"))
    assert isolated_settings(tmp_path / "ours").models_path == tmp_path / "theirs" / "models"


def test_each_invalid_value_is_reported_by_its_variable_without_the_value() -> None:
    env = {**os.environ, "FACEVITALS_PORT": "a secret", "FACEVITALS_DEVICE": "another secret"}
    done = subprocess.run(
        [sys.executable, "-m", "facevitals", "gateway"], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    port, device = done.stderr.splitlines()
    assert port.startswith("FACEVITALS_PORT: ")
    assert device.startswith("FACEVITALS_DEVICE: ")
    assert "cuda" in device
    assert "secret" not in done.stderr


def test_settings_of_the_service_cannot_stop_an_analysis() -> None:
    # The set-up calls this one.
    env = {**os.environ, "FACEVITALS_PORT": "nonsense", "FACEVITALS_KEY_MAX_ACTIVE": "-1"}
    command = [sys.executable, "-m", "facevitals", "models", "--json"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout
