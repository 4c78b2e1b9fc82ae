"""`facevitals models` lists the models of the analysis; `facevitals models fetch NAME` downloads one."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

from facevitals.cli.analyze_command import not_installed
from facevitals.extras import worker_extra
from facevitals.local.isolated_settings import analysis_settings
from facevitals.local.terminal import output

if TYPE_CHECKING:
    from workers.models.installed import InstalledModel

console = output()
errors = Console(stderr=True, markup=False)

app = typer.Typer(
    invoke_without_command=True,
    rich_markup_mode="rich",
    help="What is installed: name, file, sha256, source, licence, vitals served; what is missing, and its command.",
)


@app.callback()
def models(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    prepare: Annotated[bool, typer.Option("--prepare", help="Build what is built from installed weights.")] = False,
) -> None:
    """List the models."""
    if context.invoked_subcommand is not None:
        return
    try:
        with worker_extra("The analysis"):
            from workers.models.build import prepare_models
            from workers.models.installed import installed_models
    except ModuleNotFoundError as missing:
        raise not_installed(missing) from missing
    config = analysis_settings()
    if prepare:
        prepare_models(config.models_path, open_only=config.open_models_only)
    for model in installed_models(
        config.models_path, open_only=config.open_models_only, deepface_home=config.deepface_path
    ):
        about = _about(model)
        if as_json:
            print(json.dumps(about))
            continue
        colour = "green" if model.command is None else "yellow"
        console.print(f"[bold]{about['name']}[/]  [{colour}]{about['state']}[/]  {about['title']}", highlight=False)
        for name in ("serves", "file", "sha256", "source", "licence", "command"):
            value = about[name]
            if value:
                shown = ", ".join(value) if isinstance(value, list) else value
                console.print(f"  {name:<8} {shown}", highlight=False, soft_wrap=True)


@app.command()
def fetch(
    names: Annotated[
        list[str],
        typer.Argument(
            help="Models, as `facevitals models` names them, or the first part of their names.", metavar="NAME…"
        ),
    ],
    environment: Annotated[
        bool, typer.Option("--environment", help="Into the environment, as the set-up does, not the models folder.")
    ] = False,
) -> None:
    """Download weights: size, checksum and licence are shown first; goes on where an earlier try stopped."""
    try:
        with worker_extra("The analysis"):
            from workers.models.fetch import FetchFailed
            from workers.models.fetch import fetch as download
            from workers.models.manifest import MODELS, environment_folder, models_named
    except ModuleNotFoundError as missing:
        raise not_installed(missing) from missing
    unknown = [name for name in names if not models_named(name)]
    if unknown:
        known = ", ".join(entry.name for entry in MODELS)
        errors.print(f"There is no model {', '.join(unknown)}; there are {known}.", style="red")
        raise typer.Exit(2)
    config = analysis_settings()
    for entry in (entry for name in names for entry in models_named(name)):
        folder = environment_folder() if environment else entry.folder(config.models_path, config.deepface_path)
        if entry.download is not None:
            console.print(f"[bold]{entry.name}[/]  {entry.title}", highlight=False)
            console.print(f"  size     {entry.download.bytes / 1e6:,.1f} MB", highlight=False)
            console.print(f"  sha256   {entry.download.sha256}", highlight=False, soft_wrap=True)
            console.print(f"  licence  {entry.licence}", highlight=False, soft_wrap=True)
            console.print(f"  source   {entry.source}", highlight=False, soft_wrap=True)
        try:
            with Progress(BarColumn(), DownloadColumn(), TransferSpeedColumn(), console=errors, transient=True) as bar:
                task = bar.add_task(entry.name, total=None)
                path = download(
                    entry,
                    folder,
                    lambda have, all_, task=task: bar.update(task, completed=have, total=all_),  # type: ignore[misc]
                )
        except (FetchFailed, OSError) as error:
            errors.print(str(error), style="red", highlight=False)
            raise typer.Exit(1) from error
        console.print(f"  file     {path}", highlight=False, soft_wrap=True)


def _about(model: "InstalledModel") -> dict[str, Any]:
    from workers.models.manifest import sha256_of

    entry = model.entry
    return {
        "name": entry.name,
        "title": entry.title,
        "state": model.state.value,
        "serves": [*entry.vitals, *entry.checks, *entry.commands],
        "file": str(model.path) if model.path else None,
        "bytes": entry.bytes,
        "sha256": entry.sha256 or (sha256_of(model.path) if model.path and entry.module else ""),
        "source": entry.source,
        "licence": entry.licence,
        "open_licence": entry.open_licence,
        "command": model.command,
    }
