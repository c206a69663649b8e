"""A walk through autopeft, cell by cell, in VS Code, Spyder or (with jupytext) Jupyter; or all at once: python examples/walk_through.py."""

# %% [markdown]
# # Which parameter-efficient fine-tuning for this model and this data?
#
# A search trains configurations at a low budget and keeps those that trade accuracy against trainable parameters best. The demo task and
# the small backbone need no download; for your own, these constants are all there is to change.

# %%
from pathlib import Path

import autopeft

MODEL = None  # the small backbone of the extra "demo"; else a hub id or a folder
TASK = "demo"
TRIALS, WORKERS = 20, 2
SEEDS, EPOCHS = 3, 2  # of what is retrained
OUT = Path("runs/walk-through")


# %% [markdown]
# Searches take minutes to hours. Whoever wants to watch passes an object with three methods.


# %%
class Watch:
    """Prints a line a trial."""

    def started(self, plan, run, n_done):
        """Say what is about to happen."""
        print(f"{plan.request.trials} trials of {plan.budget.train_examples:,} examples into {run.path}")

    def trial_finished(self, record, on_front, n_done, n_trials):
        """Say what came of a trial."""
        found = f"{record.metrics['accuracy']:.4f}" if record.state == "complete" else record.error or record.state
        print(f"[{n_done}/{n_trials}] {found}  {record.configuration.describe()}{'  (front)' if on_front else ''}")

    def trial_confirmed(self, record, on_front, n_done, n_total):
        """Say what the full budget made of a trial."""
        found = f"{record.confirmation.metrics['accuracy']:.4f}" if record.confirmed else record.confirmation.error
        print(f"confirmed [{n_done}/{n_total}] {found}  {record.configuration.describe()}{'  (front)' if on_front else ''}")


# %%
if (OUT / "run.json").is_file():  # the cell was run before: go on, or just read
    result = autopeft.resume(OUT, trials=TRIALS, progress=Watch())
else:
    result = autopeft.search(model=MODEL, task=TASK, trials=TRIALS, workers=WORKERS, out=str(OUT), progress=Watch())

# %% [markdown]
# ## The front
#
# Each measurement is one training with one seed. The best of many measurements is too good on average;
# from 16 trials on a surrogate of all of them says by how much.

# %%
for trial in result.front:
    expected = result.expected.get(trial.number)
    words = f", expected {expected.mean:.4f} ± {1.96 * expected.deviation:.4f}" if expected else ""
    print(f"#{trial.number}: accuracy {trial.metrics['accuracy']:.4f}{words}, {trial.trainable_parameters:,} parameters")
    print(f"    {trial.configuration.describe()}")

# %%
for path in [*result.plot(formats=["svg"]), *result.report()]:
    print(path)

# %% [markdown]
# ## At the full budget
#
# All data, several seeds, and for the first time test data. `result.baselines(seeds=3)` does the same for a tuned LoRA, serial adapter,
# prefix, BitFit, the head alone and full fine-tuning; it takes as long as the search and some more.

# %%
knee = result.knee()
table = result.retrain([knee.number], seeds=SEEDS, epochs=EPOCHS)
for row in table.rows():
    found = row["test"]["accuracy"]
    print(f"{row['name']}: test accuracy {found['mean']:.4f}, single seeds {found['values']}")

# %% [markdown]
# ## Away with it
#
# The adapter that the best seed trained, with a script that trains it anew. Other targets: `autopeft list targets`.

# %%
folder = OUT / "exports" / f"{knee.number:04d}-script-retrained"
if not folder.exists():  # the cell was run before
    result.export(knee.number, to="script", retrained=True)
print(sorted(path.name for path in folder.iterdir()))
