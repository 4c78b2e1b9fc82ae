"""`facevitals simulate`: a clip whose truth is known, from the command line."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lab.simulate.spec import ClipSpec

_DEFAULT = ClipSpec()


def simulate_command(  # noqa: PLR0917  (a command line is flat)
    out: Annotated[
        Path, typer.Argument(help="the clip to write, .mp4 or .webm; its truth goes beside it, into .truth.json")
    ],
    heart_rate: Annotated[float, typer.Option(help="mean heart rate, /min")] = _DEFAULT.heart_rate,
    respiration_rate: Annotated[float, typer.Option(help="mean respiration rate, /min")] = _DEFAULT.respiration_rate,
    hrv: Annotated[
        float, typer.Option(help="standard deviation of the beat intervals over long times, ms")
    ] = _DEFAULT.hrv_sdnn_ms,
    duration: Annotated[float, typer.Option(help="seconds")] = _DEFAULT.duration_s,
    fps: Annotated[float, typer.Option(help="nominal frames a second")] = _DEFAULT.fps,
    width: Annotated[int, typer.Option(help="pixels, even")] = _DEFAULT.width,
    height: Annotated[int, typer.Option(help="pixels, even")] = _DEFAULT.height,
    seed: Annotated[int, typer.Option(help="the same seed gives the same frames")] = _DEFAULT.seed,
    kind: Annotated[
        str, typer.Option(help="live, or what must not be taken for it; `list` shows them all")
    ] = _DEFAULT.kind,
    codec: Annotated[str | None, typer.Option(help="h264 in .mp4, vp8 or vp9 in .webm")] = None,
    bitrate: Annotated[int, typer.Option(help="bits a second")] = _DEFAULT.bitrate_bps,
    jitter: Annotated[
        float, typer.Option(help="spread of the time between frames, as a share of 1/fps")
    ] = _DEFAULT.jitter,
    dropped: Annotated[float, typer.Option(help="share of frames that never arrive")] = _DEFAULT.dropped,
    duration_header: Annotated[
        bool, typer.Option(help="without it the file is a stream, as from a browser's recorder")
    ] = True,
    skin_tone: Annotated[int, typer.Option(help="Fitzpatrick type, 1 to 6")] = _DEFAULT.skin_tone,
    pulse_strength: Annotated[float, typer.Option(help="factor on the pulse of that skin")] = _DEFAULT.pulse_strength,
    motion: Annotated[float, typer.Option(help="0 holds still, 1 sits naturally, 3 fidgets")] = _DEFAULT.motion,
    light: Annotated[float, typer.Option(help="1 is a bright room, 0.1 a dark one")] = _DEFAULT.light,
    light_drift: Annotated[
        float, typer.Option(help="spread of slow changes of the light, as a share")
    ] = _DEFAULT.light_drift,
    flicker: Annotated[
        float, typer.Option(help="Hz of a lamp's flicker as the camera sees it; 0 is none")
    ] = _DEFAULT.flicker_hz,
    flicker_depth: Annotated[float, typer.Option(help="depth of the flicker, as a share")] = 0.01,
    blink_rate: Annotated[float, typer.Option(help="blinks /min")] = _DEFAULT.blink_rate,
    portrait: Annotated[Path | None, typer.Option(help="another face: a picture file")] = None,
    portrait_skin_tone: Annotated[
        int, typer.Option(help="the Fitzpatrick type that the picture shows")
    ] = _DEFAULT.portrait_skin_tone,
) -> None:
    """Write a synthetic webcam clip with known heart and respiration rates, and the truth beside it."""
    from lab.simulate.film import simulate
    from lab.simulate.kinds import KINDS

    if kind == "list":
        for each in KINDS.values():
            typer.echo(f"{each.name:<12} {each.summary}")
        return
    try:
        spec = ClipSpec(
            heart_rate=heart_rate,
            respiration_rate=respiration_rate,
            hrv_sdnn_ms=hrv,
            duration_s=duration,
            fps=fps,
            width=width,
            height=height,
            seed=seed,
            codec=codec,
            bitrate_bps=bitrate,
            jitter=jitter,
            dropped=dropped,
            duration_header=duration_header,
            skin_tone=skin_tone,
            pulse_strength=pulse_strength,
            motion=motion,
            light=light,
            light_drift=light_drift,
            blink_rate=blink_rate,
            kind=kind,
            portrait=portrait,
            portrait_skin_tone=portrait_skin_tone,
        )
        if flicker:
            spec = replace(spec, flicker_hz=flicker, flicker_depth=flicker_depth)
        columns = (TextColumn("filming"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("filming", total=None)
            truth = simulate(out, spec, lambda done, total: bar.update(task, completed=done, total=total))
    except (ValueError, OSError) as error:
        typer.echo(f"simulate: {error}", err=True)
        raise typer.Exit(2) from error
    rates = (
        f"heart rate {truth.heart_rate:.1f} /min, respiration rate {truth.respiration_rate:.1f} /min"
        if truth.alive
        else "no living face"
    )
    where = out.with_suffix(".truth.json")
    typer.echo(f"{out}: {truth.kind}, {truth.frames} frames in {truth.duration_s:.2f} s, {rates}; truth in {where}")
