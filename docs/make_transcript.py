"""Write docs/transcript.md: a stranger's path from a CSV file to predictions, as a terminal shows it.

Run it from the repository's root, in the environment that README's first command made: python -m docs.make_transcript
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

FOLDER = Path(__file__).parent
PAGE = FOLDER / "transcript.md"
INSTALL = "pip install -c .ci/constraints.txt -e '.[demo]'"
STEPS = (
    ("What kind of task is it?", "autopeft check --train train.csv --text question --label topic"),
    ("Search", "autopeft search --train train.csv --text question --label topic --trials 8 --workers 1"),
    ("Look", "autopeft show runs/train"),
    ("Retrain at the full budget", "autopeft retrain runs/train --pick knee --seeds 3 --epochs 3"),
    ("Export", "autopeft export runs/train --pick knee --to script --retrained --out adapter"),
    ("Predict, from the exported folder alone", "autopeft predict adapter --input new.csv"),
)
NEW = "question\nWhat about the soup?\nHow did the team play?\nIs there a train across the border?\n"


def data() -> str:
    """Return the program of the tutorial that writes train.csv."""
    text = (FOLDER / "tutorial.md").read_text(encoding="utf-8")
    return text.split("<!-- quick -->\n```python\n")[1].split("```")[0]


def run(command: str, folder: Path) -> str:
    """Return what a command prints on both streams.

    Raises:
        CalledProcessError: It fails.
    """
    environment = {
        **os.environ,
        "COLUMNS": "150",
        "NO_COLOR": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    done = subprocess.run(
        command, shell=True, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, command, done.stdout)
    return tidy(done.stdout, folder)


def tidy(text: str, folder: Path) -> str:
    """Return output without the paths of this machine."""
    for path, name in ((str(folder), "~/try"), (sys.prefix, "~/venv")):
        text = text.replace(path, name)
    return re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE).strip()


def page() -> Iterator[str]:
    """Yield the page's lines."""
    yield "# The whole path in one terminal\n"
    yield "<!-- Written by docs/make_transcript.py. -->\n"
    yield "What a terminal shows from a CSV file of 300 questions to predictions, on two cores that other programs use too."
    yield "The file is the one of the [tutorial](tutorial.md), which explains each step.\n"
    with TemporaryDirectory() as name:
        folder, began = Path(name).resolve(), time.monotonic()
        subprocess.run([sys.executable, "-c", data()], cwd=folder, check=True)
        (folder / "new.csv").write_text(NEW, encoding="utf-8")
        yield f"## Install\n\n```console\n$ {INSTALL}\n```\n"
        for title, command in STEPS:
            yield f"## {title}\n\n```console\n$ {command}\n{run(command, folder)}\n```\n"
        yield f"All steps after the installation took {(time.monotonic() - began) / 60:.0f} minutes."


def main() -> None:
    PAGE.write_text("\n".join(page()) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
