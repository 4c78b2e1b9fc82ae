"""`facevitals train …`: the project's own networks, trained and measured; training needs PyTorch."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from facevitals.cli.train_bmi_command import bmi
from facevitals.cli.training_options import console, device_of, failed, torch_or_exit, training_progress
from facevitals.local.isolated_settings import analysis_settings

app = typer.Typer(
    help="Train the project's own networks on your data, and measure them. Training needs PyTorch "
    "(`make train-environment`); the last line printed is one JSON object.",
    no_args_is_help=True,
)


def deepphys(
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of recordings: UBFC-rPPG, PURE, or clips of `simulate`. May be given again."),
    ] = None,
    kept: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of kept clips (python -m lab.render.measured). May be given again."),
    ] = None,
    rendered: Annotated[
        int | None,
        typer.Option(help="Clips rendered to learn from; 420 with neither --data nor --kept, else none.", min=0),
    ] = None,
    portraits: Annotated[
        Path | None, typer.Option(help="Folder of portraits for rendered clips; without, faces are drawn.")
    ] = None,
    waves: Annotated[
        Path | None,
        typer.Option(
            help="An .npz of contact waves at 125 Hz, named …_ppg: of the kept, and of a third of the rendered."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of checkpoint, network, log and cache.")] = Path(
        "artefacts/deepphys"
    ),
    side: Annotated[int, typer.Option(help="Side of the crops: 36 as in the paper, or 72.")] = 36,
    steps: Annotated[int, typer.Option(help="Steps at most.", min=1)] = 1100,
    batch: Annotated[int, typer.Option(help="Chunks a step.", min=1)] = 4,
    chunk: Annotated[int, typer.Option(help="Frames a chunk, at 30 a second.", min=30)] = 128,
    rate: Annotated[float, typer.Option(help="Highest learning rate.", min=0)] = 3e-3,
    dropout: Annotated[str, typer.Option(help="Two shares; the paper's 0.25,0.5 are for small real data sets.")] = (
        "0,0"
    ),
    loss: Annotated[
        Literal["both", "mse", "pearson"], typer.Option(help="mse, pearson (negative, in the pulse's band), or both.")
    ] = "both",
    seed: Annotated[int, typer.Option(help="The same seed gives the same clips and the same order.")] = 1,
    every: Annotated[int, typer.Option(help="Steps between two validations, each with a checkpoint.", min=1)] = 100,
    patience: Annotated[int, typer.Option(help="Validations without a gain after which it ends.", min=1)] = 10,
    first: Annotated[int, typer.Option(help="Clips to begin with; one more every three steps.", min=1)] = 60,
    start: Annotated[Path | None, typer.Option(help="Begin with the weights of this checkpoint.")] = None,
    resume: Annotated[bool, typer.Option(help="Go on from the folder's checkpoint.")] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto.")] = "auto",
    bf16: Annotated[bool | None, typer.Option(help="Mixed precision; by default on CUDA alone.")] = None,
    threads: Annotated[int, typer.Option(help="Threads of the training on the CPU.", min=1)] = 1,
    processes: Annotated[int, typer.Option(help="Processes that render.", min=1)] = 1,
) -> None:
    """Train DeepPhys on recordings with a reference pulse, or on rendered faces."""
    where = device_of(torch_or_exit(), device)
    from lab.train.deepphys.command import Sources, run
    from lab.train.deepphys.learn import Plan
    from workers.models.deepphys_network import SIDES

    if side not in SIDES.values():
        raise typer.BadParameter(f"the network takes crops of {' or '.join(map(str, SIDES.values()))} pixels")
    after_pooling, before_last = (float(share) for share in dropout.split(","))
    plan = Plan(
        side=side, steps=steps, batch=batch, chunk=chunk, rate=rate, dropout=(after_pooling, before_last), loss=loss,
        seed=seed, every=every, patience=patience, device=where, first=first,
        bf16=where == "cuda" if bf16 is None else bf16,
    )  # fmt: skip
    count = rendered if rendered is not None else (0 if data or kept else 420)
    with training_progress(steps) as (show, log_line):
        report = run(
            plan, Sources(data or (), count, portraits, waves, kept or ()), out, start=start, resume=resume,
            threads=threads, processes=processes,
            on_step=lambda step, value: show(step, f"loss {value:.3f}"), log_line=log_line,
        )  # fmt: skip
    console.print(
        f"Written to {report['network']}; workers take deepphys.pth, beside it, from {analysis_settings().models_path}"
    )
    print(json.dumps(report))


def measure(
    data: Annotated[Path, typer.Option(help="Folder of recordings: UBFC-rPPG, PURE, or clips of `simulate`.")],
    network: Annotated[
        Path | None, typer.Option(help="A DeepPhys as .pth or .onnx; without, the one that is installed.")
    ] = None,
    estimators: Annotated[str, typer.Option(help="Others beside it, by name.")] = "green,chrom,pos",
    window: Annotated[float | None, typer.Option(help="Seconds of each stretch; without, whole recordings.")] = None,
    cache: Annotated[Path, typer.Option(help="Folder of prepared recordings.")] = Path("artefacts/deepphys/cache"),
    out: Annotated[Path, typer.Option(help="Folder of the report and the Bland-Altman plot.")] = Path("bench-out"),
) -> None:
    """Measure the error of DeepPhys and other estimators against the recorded pulse; needs no PyTorch."""
    from rich.progress import track as progress_over

    from lab.data.prepared import load, prepared, recordings_in
    from lab.train.deepphys.evaluate import Evaluation, bland_altman, estimators_of, evaluate, report_of
    from workers.face.tracker import FaceTracker
    from workers.rppg.signals.traces import NoTraces

    config = analysis_settings()
    names = tuple(name.strip() for name in estimators.split(",") if name.strip())
    try:
        chosen = estimators_of(names, network, config.models_path, config.threads)
        recordings = recordings_in(data)
    except ValueError as error:
        raise failed(error) from error
    found: list[Evaluation] = []
    tracker = FaceTracker()
    for recording in progress_over(recordings, "recordings", console=console):
        try:
            path = prepared(recording, cache, tracker)
        except NoTraces as error:
            console.print(f"{recording.name} is left out: {error}", markup=False, highlight=False)
            continue
        found += evaluate(recording.name, load(path), chosen, window)
    if not found:
        raise failed(ValueError(f"no face was seen in any recording of {data}"))
    report = report_of(found)
    path = report.write(out)
    console.print(report.markdown, markup=False, highlight=False)
    console.print(f"Written to {path}")
    try:
        console.print(f"Plotted in {bland_altman(found, out / 'train-test.png')}")
    except ModuleNotFoundError as missing:
        console.print(f"No figure is drawn: {missing.name} is not installed.")
    print(json.dumps(report.summary))


#: What can be trained and measured: a new one is a function, and its name here.
COMMANDS: Final[dict[str, Callable[..., None]]] = {"deepphys": deepphys, "bmi": bmi, "test": measure}
for name, command in COMMANDS.items():
    app.command(name)(command)
