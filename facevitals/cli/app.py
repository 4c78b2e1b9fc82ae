"""The `facevitals` command."""

import sys

import typer
from pydantic import ValidationError

from facevitals.cli import analysis, bench, keys, models, service, train
from facevitals.cli import simulate as simulation
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


def _version(asked: bool) -> None:
    if asked:
        print(f"facevitals {VERSION}")
        raise typer.Exit


@app.callback()
def _root(
    _: bool = typer.Option(False, "--version", help="Print the version.", callback=_version, is_eager=True),
) -> None:
    return


app.command()(analysis.analyze)
app.add_typer(models.app, name="models")
app.command()(service.up)
app.command()(service.run)
app.command()(service.gateway)
app.command()(service.worker)
app.command()(service.submit)
app.command()(simulation.simulate)
app.add_typer(bench.app, name="bench")
app.add_typer(train.app, name="train")
app.add_typer(keys.app, name="keys")


def main() -> None:
    """Entry point."""
    try:
        app()
    except ValidationError as error:
        if error.title != Settings.__name__:
            raise
        # The value itself may be a secret, and is not shown.
        for wrong in error.errors(include_input=False, include_url=False):
            name = "".join(f"{PREFIX}{str(part).upper()}: " for part in wrong["loc"])
            print(f"{name}{wrong['msg'].removeprefix('Value error, ')}", file=sys.stderr)
        raise SystemExit(1) from None
