"""`facevitals analyze`: the whole analysis in this process."""

import json
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from facevitals.analysis import Analysis, Analyzer
from facevitals.cli.render import print_document
from facevitals.cli.service_commands import exit_code
from facevitals.local.terminal import output
from shared.schemas import JobDocument
from shared.vitals import VITALS

console = output()
errors = Console(stderr=True, markup=False)


def analyze(
    clips: Annotated[
        list[Path],
        # Not checked here: one missing file must not end the batch.
        typer.Argument(help="MP4 or WebM files.", metavar="CLIP…"),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="One document a line, in order.")] = False,
    waveforms: Annotated[bool, typer.Option(help="With --json: add the waves and spectra.")] = False,
    vitals: Annotated[str | None, typer.Option(help=f"Comma-separated subset of: {', '.join(VITALS)}.")] = None,
    estimators: Annotated[str | None, typer.Option(help="The pulse estimator of a --raw run.")] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="With one of --estimators: report its heart rate, which nothing confirms.")
    ] = False,
) -> None:
    """Analyse clips in this process. Exit 0 analysed (vitals may abstain), 2 a clip was rejected, 1 failure.

    Each clip gives a document, whatever happens to it: one that can't be read is `failed`, and the next one follows.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        # A file's name need not be printable in the terminal's encoding.
        sys.stdout.reconfigure(errors="backslashreplace")
    requested = _subset(vitals)
    chosen = [name.strip() for name in estimators.split(",")] if estimators else None
    try:
        analyzer = Analyzer(estimators=chosen, raw=raw)
    except ModuleNotFoundError as missing:
        raise not_installed(missing) from missing
    except ValueError as error:
        if isinstance(error, ValidationError):
            raise
        errors.print(str(error), style="red", highlight=False)
        raise typer.Exit(2) from error
    except (OSError, RuntimeError) as error:
        from workers.models.session import DeviceUnavailable

        if not isinstance(error, OSError | DeviceUnavailable):
            raise
        errors.print(str(error), style="red", markup=False, highlight=False)
        raise typer.Exit(1) from error
    for why in analyzer.refused_models.values():
        errors.print(why, style="yellow", highlight=False)
    worst = 0
    with analyzer:
        for clip in clips:
            with errors.status(f"analysing {escape(clip.name)}"):
                analysis = analyzer.analyze(clip, vitals=requested, check=False)
            for trace in analysis.tracebacks:
                errors.print(f"{clip}:\n{trace}", style="red", markup=False, highlight=False)
            worst = max(worst, exit_code(analysis.document), key=(0, 2, 1).index)
            heading = str(clip) if len(clips) > 1 else None
            try:
                _show(analysis, heading, as_json=as_json, waveforms=waveforms)
            except BrokenPipeError:
                # Nothing reads the output any more: Typer ends the command without a traceback.
                raise
            except Exception as error:
                errors.print(f"{clip}: printing failed: {error!r}", style="red", markup=False, highlight=False)
                worst = 1
    raise typer.Exit(worst)


def _show(analysis: Analysis, heading: str | None, *, as_json: bool, waveforms: bool) -> None:
    if not as_json:
        if heading:
            console.rule(escape(heading), align="left")
        _print(analysis.document)
        return
    body = analysis.document.as_json()
    if waveforms:
        body["waveforms"] = analysis.waveforms.as_json()
    print(json.dumps(body), flush=True)


def _print(document: JobDocument) -> None:
    facts = document.clip
    if facts:
        line = (
            f"{facts.duration_s:.1f} s, {facts.frames} frames at {facts.fps:.2f}/s, "
            f"{facts.width}x{facts.height} {facts.container}/{facts.codec}"
        )
        console.print(line, style="dim", highlight=False)
    print_document(console, document)


def _subset(vitals: str | None) -> list[str] | None:
    if vitals is None:
        return None
    names = [name.strip() for name in vitals.split(",") if name.strip()]
    if not names or not set(names) <= set(VITALS):
        errors.print(f"--vitals takes a list of {', '.join(VITALS)}.", style="red")
        raise typer.Exit(2)
    return names


def not_installed(missing: ModuleNotFoundError) -> typer.Exit:
    """Print what is missing and how to install it; returns how the command ends."""
    errors.print(str(missing), style="red", highlight=False)
    return typer.Exit(1)
