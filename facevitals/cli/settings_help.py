"""The list of settings for `facevitals --help`, from the settings themselves."""

from typing import Final

from shared.settings import Settings


def settings_help() -> str:
    """One line a setting: variable, default, meaning."""
    lines = ["[bold]Settings[/] (environment variables)", ""]
    for name, field in Settings.model_fields.items():
        default = "" if field.default in {None, ""} else f" \\[{field.default}]"
        lines.append(f"FACEVITALS_{name.upper()}{default}: {field.description}")
    return "\n\n".join(lines)


#: The list of settings, in rich markup.
SETTINGS_HELP: Final = settings_help()
