"""The `facevitals` command."""

import faulthandler
import sys

import typer
from pydantic import ValidationError

from facevitals.cli import (
    analyze_command,
    bench_commands,
    calibrate_command,
    job_commands,
    key_commands,
    model_commands,
    queue_commands,
    service_commands,
    simulate_command,
    train_commands,
    validate_command,
)
from facevitals.cli.settings_help import SETTINGS_HELP
from shared.settings import PREFIX, Settings
from shared.version import VERSION

app = typer.Typer(
    name="facevitals",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Vitals from 15 seconds of webcam video, each with an interval or a reason. "
    "Estimates for wellness and research; not a medical device.",
    epilog=SETTINGS_HELP,
)


def _version(requested: bool) -> None:
    if requested:
        print(f"facevitals {VERSION}")
        raise typer.Exit


@app.callback()
def _root(
    _: bool = typer.Option(False, "--version", help="Print the version.", callback=_version, is_eager=True),
) -> None:
    return


app.command()(analyze_command.analyze)
app.add_typer(model_commands.app, name="models")
app.command()(service_commands.up)
app.command()(service_commands.run)
app.command()(service_commands.gateway)
app.command()(service_commands.worker)
app.command()(service_commands.submit)
app.command()(simulate_command.simulate)
app.command()(validate_command.validate)
app.command()(calibrate_command.calibrate)
app.add_typer(job_commands.app, name="jobs")
app.add_typer(queue_commands.app, name="queues")
app.add_typer(bench_commands.app, name="bench")
app.add_typer(train_commands.app, name="train")
app.add_typer(key_commands.app, name="keys")


def main() -> None:
    """Entry point."""
    if sys.__stderr__ is not None:
        # A crash in native code is reported with the Python stack.
        faulthandler.enable(sys.__stderr__)
    try:
        app()
    except ValidationError as error:
        if error.title != Settings.__name__:
            raise
        # The value may be a secret, so it is not shown.
        for wrong in error.errors(include_input=False, include_url=False):
            name = "".join(f"{PREFIX}{str(part).upper()}: " for part in wrong["loc"])
            print(f"{name}{wrong['msg'].removeprefix('Value error, ')}", file=sys.stderr)
        raise SystemExit(1) from None
