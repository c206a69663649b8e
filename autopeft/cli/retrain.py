"""autopeft retrain: chosen configurations at the full budget, with test metrics over several seeds."""

from pathlib import Path
from typing import Annotated

import typer

from autopeft.budget import FULL_EPOCHS
from autopeft.cli import completion
from autopeft.cli.formats import TableFormat
from autopeft.cli.opening import say_first


def retrain(
    run: Annotated[Path, typer.Argument(help="Folder of a run, such as runs/demo.")],
    trials: Annotated[list[int] | None, typer.Option("--trial", min=0, help="Number of a trial; may be repeated.")] = None,
    pick: Annotated[
        str | None, typer.Option(help="best, knee, or max-params=0.5%: the best of at most that size.", autocompletion=completion.picks)
    ] = None,
    front: Annotated[bool, typer.Option("--front", help="Every trial of the Pareto front.")] = False,
    seeds: Annotated[int, typer.Option(min=1, help="How often each is trained.")] = 5,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help="Passes over all training examples.", show_default=f"as what is retrained already, else {FULL_EPOCHS}"),
    ] = None,
    task: Annotated[str | None, typer.Option(help="Another task to train on; see: autopeft list tasks.")] = None,
    model: Annotated[str | None, typer.Option(help="Another backbone, a hub id or a folder; layers keep their relative depth.")] = None,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run Python code that the other backbone brings along, with all your rights.")
    ] = False,
    data_dir: Annotated[str | None, typer.Option(help="Where the other task's data is.", show_default="as in the search")] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes; 0: this process.", show_default="as in the search")] = None,
    address: Annotated[str | None, typer.Option(help="A running Ray cluster: auto, or ray://host:port.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.", show_default="as in the search")] = None,
    output: Annotated[TableFormat, typer.Option("--format", help="How to print the results.")] = TableFormat.TABLE,
) -> None:
    """Train configurations of a run at the full budget: all data, more epochs, several seeds; the best epoch on validation data is kept.

    Prints test metrics with their spread. Results are in RUN/retrained; what is there is not trained again. With --task or --model
    the same configurations are trained on another task or backbone, into RUN/transferred.

    Examples:
      autopeft retrain runs/mrpc --pick best

      autopeft retrain runs/mrpc --front --seeds 3

      autopeft retrain runs/mrpc --front --task stsb
    """
    say_first("finding task and model")
    from autopeft.cli.retraining import print_results, until_stopped
    from autopeft.loops import retrain as engine
    from autopeft.loops.selection import choose
    from autopeft.study.directory import RunDirectory

    directory = RunDirectory.open(run)
    request = engine.RetrainRequest(seeds, epochs, workers, address, device, task, data_dir, model, trust_remote_code)
    chosen = engine.of_trials(choose(directory, trials or (), pick, whole_front=front))
    print_results(until_stopped(lambda progress: engine.retrain(directory, chosen, request, progress)), output)
