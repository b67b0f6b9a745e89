"""`mnistcli curriculum`: trains in phases, and says what each of them reached and kept."""

from pathlib import Path
from typing import Annotated

import typer

from mnistcli.cli.options import (
    RESUME_TAKES,
    ClusterOption,
    DataOption,
    DeviceName,
    DeviceOption,
    JobsOption,
    JsonOption,
    NoFailOption,
    OptionalPresetArgument,
    OutOption,
    OutputOptions,
    PrecisionName,
    PrecisionOption,
    QuietOption,
    ResumeOption,
    SeedOption,
    SeedsOption,
    SetOption,
    ThreadsOption,
    parse_numbers,
    read_workers,
    refuse_others,
)
from mnistcli.errors import PresetError, UsageError

CompareOption = Annotated[
    bool,
    typer.Option(
        "--compare", help="Against no curriculum, a random order and the reverse, in equal steps."
    ),
]


def curriculum(
    context: typer.Context,
    preset: OptionalPresetArgument = None,
    overrides: SetOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = DeviceName.auto,
    precision: PrecisionOption = PrecisionName.auto,
    threads: ThreadsOption = None,
    data: DataOption = None,
    out: OutOption = Path("runs"),
    compare: CompareOption = False,
    seeds: SeedsOption = None,
    jobs: JobsOption = None,
    cluster: ClusterOption = None,
    resume: ResumeOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    no_fail: NoFailOption = False,
) -> None:
    """Trains a preset's curriculum phase by phase, and judges each by its target."""
    from mnistcli.cli.train import resume_training, train_preset, train_seeds
    from mnistcli.experiment.machine import Options
    from mnistcli.preset.loading import load_preset

    shown = OutputOptions(as_json, quiet, no_fail)
    if resume is not None:
        refuse_others(context, "--resume", {"resume", *RESUME_TAKES})
        resume_training(resume, (jobs, cluster), data, shown)
        return
    if preset is None:
        raise UsageError("say which preset, as in: mnistcli curriculum optimizednet-curriculum")
    loaded = load_preset(preset, overrides or ())
    if loaded.curriculum is None:
        raise PresetError(f"preset {loaded.name} has no [curriculum]; see optimizednet-curriculum")
    options = Options(seed, device.value, precision.value, threads, data, out)
    if not compare and seeds is not None:
        train_seeds(loaded, options, None, (seeds, read_workers(jobs, cluster)), shown)
        return
    if not compare:
        if jobs is not None or cluster:
            advice = "say --seeds or --compare too"
            raise UsageError(f"--jobs and --cluster are for several runs; {advice}")
        train_preset(loaded, options, shown)
        return
    from mnistcli.cli.output import show
    from mnistcli.display.phases import orders_view
    from mnistcli.display.progress import show_progress, standard_error
    from mnistcli.experiment.studies.curriculum_orders import compare_orders

    numbers = parse_numbers(seeds or "0-4", "--seeds")
    workers = read_workers(jobs, cluster)
    with show_progress(standard_error(), quiet=quiet) as emit:
        document = compare_orders(loaded, numbers, workers, options, emit)
    show(document, orders_view(document), as_json=as_json)
