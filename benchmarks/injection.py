"""What injecting and ejecting a configuration costs, as a share of a 800-example trial of the same configuration.

    python benchmarks/injection.py [--cycles 50]

Default backbone, demo task, one thread; both are timed in one run. The trial is 800 examples, one epoch, batch 16, evaluation left out.
"""

import argparse
import time

from autopeft.budget import Budget
from autopeft.configuration import Configuration, PeftModule
from autopeft.methods.compose import apply
from autopeft.methods.discovery import discover
from autopeft.tasks import family_of, load
from autopeft.training.backbone import find_backbone
from autopeft.training.measurement import Assignment, RunnerSettings
from autopeft.training.model import example_inputs, load_model
from autopeft.training.runner import TrialRunner

LAYERS = tuple(range(6))
CONFIGURATION = Configuration(
    (
        PeftModule("serial_adapter", 16, LAYERS),
        PeftModule("parallel_adapter", 16, LAYERS),
        PeftModule("prefix", 8, LAYERS),
        PeftModule("lora", 8, LAYERS),
    ),
    {"learning_rate": 1e-3},
)
N_EXAMPLES = 800


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=50)
    n_cycles = parser.parse_args().cycles
    data, source = load("demo"), find_backbone()

    runner = TrialRunner(RunnerSettings(source, data.task, data.train, data.validation, threads=1))
    budget = Budget(train_examples=N_EXAMPLES, epochs=1, evaluation_examples=64, batch_size=16)
    outcome = runner.run(Assignment(0, CONFIGURATION, budget, 0))
    assert outcome.measurement is not None, outcome.error

    family = family_of(data.task)
    loaded = load_model(source, family)
    batch = example_inputs(loaded, family)
    topology = discover(loaded.model, batch, extra_trainable=loaded.fresh)
    apply(loaded.model, CONFIGURATION, topology=topology).eject()  # imports peft
    began = time.perf_counter()
    for _ in range(n_cycles):
        apply(loaded.model, CONFIGURATION, topology=topology).eject()
    cycle_seconds = (time.perf_counter() - began) / n_cycles

    trial_seconds = outcome.measurement.train_seconds
    print(
        f"inject and eject {1000 * cycle_seconds:.1f} ms, {N_EXAMPLES} examples {trial_seconds:.1f} s: {cycle_seconds / trial_seconds:.2%}"
    )


if __name__ == "__main__":
    main()
