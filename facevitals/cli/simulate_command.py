"""`facevitals simulate`: a synthetic clip whose truth is known."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from facevitals.extras import worker_extra
from facevitals.simulation import simulate as write

errors = Console(stderr=True, markup=False)


def simulate(
    out: Annotated[Path, typer.Argument(help="File to write, .mp4 or .webm; OUT.truth.json goes beside it.")],
    heart_rate: Annotated[float, typer.Option(help="Mean heart rate, /min.")] = 72.0,
    respiration_rate: Annotated[float, typer.Option(help="Mean respiration rate, /min.")] = 15.0,
    hrv_sdnn_ms: Annotated[float, typer.Option(help="Standard deviation of beat intervals, ms.")] = 30.0,
    duration_s: Annotated[float, typer.Option("--duration", help="Length, s.")] = 15.0,
    fps: Annotated[float, typer.Option(help="Frames per second.")] = 30.0,
    width: Annotated[int, typer.Option(help="Picture width.")] = 640,
    height: Annotated[int, typer.Option(help="Picture height.")] = 480,
    seed: Annotated[int, typer.Option(help="The same seed gives the same clip.")] = 1,
    kind: Annotated[str, typer.Option(help="live, or a negative: `--kind help` lists them.")] = "live",
    skin_tone: Annotated[int, typer.Option(help="Fitzpatrick type, 1 to 6.")] = 2,
    motion: Annotated[float, typer.Option(help="Head motion: 0 still, 1 natural, 3 fidgeting.")] = 1.0,
    light: Annotated[float, typer.Option(help="Illumination: 1 bright room, 0.1 dark.")] = 1.0,
    light_drift: Annotated[float, typer.Option(help="Slow changes of the light, as a share.")] = 0.01,
    bitrate: Annotated[int, typer.Option(help="Bits per second of the video.")] = 2_500_000,
    codec: Annotated[str | None, typer.Option(help="h264 (MP4), vp8 or vp9 (WebM).")] = None,
    jitter: Annotated[float, typer.Option(help="Spread of frame times, share of a frame.")] = 0.0,
    dropped: Annotated[float, typer.Option(help="Share of frames that never arrive.")] = 0.0,
    duration_header: Annotated[bool, typer.Option(help="Write the duration, as a browser does not.")] = True,
    pulse_strength: Annotated[float, typer.Option(help="Factor on the pulse of that skin.")] = 1.0,
    flicker: Annotated[float, typer.Option(help="Hz of a lamp's flicker as the camera sees it; 0: none.")] = 0.0,
    flicker_depth: Annotated[float, typer.Option(help="Depth of the flicker, as a share.")] = 0.01,
    blink_rate: Annotated[float, typer.Option(help="Blinks, /min.")] = 14.0,
    portrait: Annotated[Path | None, typer.Option(help="Another face: a picture file.")] = None,
    portrait_skin_tone: Annotated[int, typer.Option(help="Fitzpatrick type that the picture shows.")] = 2,
) -> None:
    """Write a synthetic clip and its truth. Exit 2 for conditions that can't be simulated."""
    try:
        with worker_extra("The simulator"):
            from lab.simulate.scenes import KINDS
    except ModuleNotFoundError as missing:
        errors.print(str(missing), style="red")
        raise typer.Exit(1) from missing
    if kind == "help":
        for known in KINDS.values():
            print(f"{known.name:<14} {known.summary}")
        return
    try:
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
        with Progress(console=errors, transient=True) as progress:
            task = progress.add_task(f"writing {out.name}", total=1.0)
            write(
                out,
                on_progress=lambda done, total: progress.update(task, completed=done, total=total),
                heart_rate=heart_rate,
                respiration_rate=respiration_rate,
                hrv_sdnn_ms=hrv_sdnn_ms,
                duration_s=duration_s,
                fps=fps,
                width=width,
                height=height,
                seed=seed,
                kind=kind,
                skin_tone=skin_tone,
                motion=motion,
                light=light,
                light_drift=light_drift,
                bitrate_bps=bitrate,
                codec=codec,
                jitter=jitter,
                dropped=dropped,
                duration_header=duration_header,
                pulse_strength=pulse_strength,
                flicker_hz=flicker,
                flicker_depth=flicker_depth if flicker else 0.0,
                blink_rate=blink_rate,
                portrait=portrait,
                portrait_skin_tone=portrait_skin_tone,
            )
    except (ValueError, OSError) as error:
        errors.print(str(error), style="red", highlight=False)
        raise typer.Exit(2) from error
    print(f"{out}\n{out.with_suffix('.truth.json')}")
