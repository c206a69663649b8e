"""How far configurations differ on the demo task: head only against LoRA at several ranks, on the default backbone.

    python benchmarks/demo_task.py [--seeds 3]

Prints one line a configuration: mean validation accuracy and its spread over the seeds, and seconds a trial.
"""

import argparse
from statistics import mean, pstdev

from autopeft.configuration import Configuration, PeftModule
from autopeft.tasks import load
from autopeft.training.backbone import find_backbone
from autopeft.training.measurement import Assignment, RunnerSettings
from autopeft.training.runner import TrialRunner

LAYERS = tuple(range(6))
TARGETS = ("query", "value")
CONFIGURATIONS = [
    Configuration((), {"learning_rate": 5e-3}),
    Configuration((), {"learning_rate": 1e-2}),
    Configuration((PeftModule("lora", 1, LAYERS, TARGETS),), {"learning_rate": 2e-3}),
    Configuration((PeftModule("lora", 8, LAYERS[-2:], TARGETS),), {"learning_rate": 2e-3}),
    Configuration((PeftModule("lora", 8, LAYERS, TARGETS),), {"learning_rate": 2e-3}),
    Configuration((PeftModule("parallel_adapter", 16, LAYERS),), {"learning_rate": 2e-3}),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    seeds = parser.parse_args().seeds
    data = load("demo")
    runner = TrialRunner(RunnerSettings(find_backbone(), data.task, data.train, data.validation, threads=1))
    for configuration in CONFIGURATIONS:
        found = [runner.run(Assignment(0, configuration, data.task.low_cost, seed)).measurement for seed in range(seeds)]
        accuracies = [one.metrics["accuracy"] for one in found if one is not None]
        seconds = mean(one.seconds for one in found if one is not None)
        print(f"{mean(accuracies):.3f} ± {pstdev(accuracies):.3f}  {seconds:5.1f} s  {configuration.describe()}", flush=True)


if __name__ == "__main__":
    main()
