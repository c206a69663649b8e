"""autopeft baselines: single methods, tuned and retrained, to compare a run's front with."""

from pathlib import Path
from typing import Annotated

import typer

from autopeft.budget import FULL_EPOCHS
from autopeft.cli.formats import TableFormat, split_names
from autopeft.cli.opening import say_first


def baselines(
    run: Annotated[Path, typer.Argument(help="Folder of a run, such as runs/mrpc.")],
    methods: Annotated[
        str | None, typer.Option(help="Which, separated by commas, such as lora,full_fine_tuning.", show_default="all")
    ] = None,
    trials_per_method: Annotated[
        int | None, typer.Option(min=1, help="Low-cost trials that tune each method.", show_default="an equal part of the search's")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How often the best of each method is retrained.")] = 5,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help="Passes over all training examples.", show_default=f"as what is retrained already, else {FULL_EPOCHS}"),
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes; 0: this process.", show_default="as in the search")] = None,
    output: Annotated[TableFormat, typer.Option("--format", help="How to print the results.")] = TableFormat.TABLE,
) -> None:
    """Tune LoRA, serial adapter, prefix, BitFit, the head alone and full fine-tuning, and retrain the best of each.

    LoRA is tuned twice, on query and value and on all linears. All together get the training that the search got: as many trials at low
    cost and as many confirmations at the full budget. Results stand in the same table as what `autopeft retrain RUN` trained, with a
    test of which differences are significant. What is done is not done again.

    Examples:
      autopeft retrain runs/mrpc --front && autopeft baselines runs/mrpc

      autopeft baselines runs/mrpc --methods lora,full_fine_tuning
    """
    say_first("finding task and model")
    from autopeft.cli.retraining import print_results, until_stopped
    from autopeft.loops.baselines import tune_and_retrain
    from autopeft.loops.retrain import RetrainRequest
    from autopeft.report.training_progress import RetrainProgress, TuningProgress
    from autopeft.study.directory import RunDirectory
    from autopeft.study.retrained import RetrainedFolder

    directory = RunDirectory.open(run)
    request = RetrainRequest(seeds, epochs, workers)
    chosen = None if methods is None else split_names(methods)

    def work(progress: RetrainProgress) -> RetrainedFolder:
        return tune_and_retrain(
            directory,
            request,
            lambda name: TuningProgress(name, progress.line),
            progress,
            progress.line,
            methods=chosen,
            trials=trials_per_method,
        )

    print_results(until_stopped(work), output)
