"""What the size of a batch does to low-cost trials on few examples: the first entries of the portfolio, at equal cost.

    AUTOPEFT_DATA=... python benchmarks/batches.py [--tasks trec sst2] [--examples 150] [--sizes 16 8 4] [--entries 5]

Each entry is trained for two epochs on the same examples in batches of each size, one seed, and measured on 200 others. Prints a line a
training: task, entry, size of a batch, the task's metric, processor seconds; and a mean for each size.
"""

import argparse
from statistics import fmean

from final_quality import cut, read

from autopeft.budget import Budget
from autopeft.portfolio.entries import entries
from autopeft.training.backbone import find_backbone
from autopeft.training.measurement import Assignment, RunnerSettings
from autopeft.training.runner import TrialRunner

N_MEASURED = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=["trec", "sst2"])
    parser.add_argument("--examples", type=int, default=150)
    parser.add_argument("--sizes", type=int, nargs="+", default=[16, 8, 4])
    parser.add_argument("--entries", type=int, default=5)
    given = parser.parse_args()
    for task in given.tasks:
        data = read(task)
        settings = RunnerSettings(find_backbone(), data.task, cut(data.train, given.examples), cut(data.validation, N_MEASURED), threads=1)
        runner = TrialRunner(settings)
        topology = runner.describe().topology
        for size in given.sizes:
            scores = []
            for entry in entries()[: given.entries]:
                budget = Budget(epochs=2, batch_size=size)
                outcome = runner.run(Assignment(0, entry.build(topology), budget, 0, budget.epoch_ends))
                if (found := outcome.measurement) is None:
                    print(f"{task} {entry.name} {size}: {outcome.error}", flush=True)
                    continue
                scores.append(found.metrics[data.task.metric])
                print(f"{task} {entry.name:<18} {size:>3}  {scores[-1]:.3f}  {found.cpu_seconds:.1f} s", flush=True)
            if scores:
                print(f"{task} batches of {size}: {fmean(scores):.3f}", flush=True)


if __name__ == "__main__":
    main()
