"""What the site has beside the pages of this folder: a reference made from the code, and files of the repository that pages link to.

mkdocs calls the functions; see `hooks` in mkdocs.yml.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import autopeft
from autopeft.cli.main import app

ROOT = Path(__file__).parents[1]
OUTSIDE = re.compile(r"\]\(\.\./([^)#\s]+)")
"""Links out of this folder, which the site has at its root."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what pages link to outside this folder, and the reference."""
    pages = [Path(str(file.abs_src_path)).read_text(encoding="utf-8") for file in files.documentation_pages()]
    for path in sorted({target for text in pages for target in OUTSIDE.findall(text)}):
        if not (ROOT / path).is_file():
            raise FileNotFoundError(f"a page links to {path}, which is no file")
        files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
    files.append(File.generated(config, "reference/commands.md", content="\n".join(commands())))
    files.append(File.generated(config, "reference/python.md", content="\n".join(python())))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links out of this folder lead to the site's root; those of benchmarks/ lead there already."""
    return markdown if "/" in page.file.src_uri else OUTSIDE.sub(r"](\1", markdown)


def commands() -> Iterator[str]:
    """Yield a page of every command with its flags."""
    yield "# Command line\n"
    yield "Exit codes: 0 done, 1 failed, 2 wrong input, 3 something is unavailable, 130 interrupted with everything kept.\n"
    group: Any = typer.main.get_command(app)
    for verb, command in group.commands.items():
        text, _, examples = (command.help or "").partition("Example")
        yield f"## autopeft {verb}\n"
        yield f"{text.strip()}\n"
        calls = [line.strip() for line in examples.partition(":")[2].splitlines() if line.strip()]
        yield from ["```bash", *calls, "```\n"] if calls else []
        yield "| argument | meaning | default |"
        yield "|---|---|---|"
        for parameter in command.params:
            if parameter.name != "help":
                yield f"| {_names(parameter)} | {_cell(getattr(parameter, 'help', '') or '')} | {_cell(_default(parameter))} |"
        yield ""


def _names(parameter: Any) -> str:
    return ", ".join(f"`{name if name.startswith('-') else name.upper()}`" for name in parameter.opts)


def _default(parameter: Any) -> str:
    if isinstance(shown := getattr(parameter, "show_default", None), str):
        return shown
    value = parameter.default
    if value is None or callable(value) or parameter.required:
        return "required" if parameter.required else ""
    return {True: "on", False: "off"}.get(value, str(value)) if isinstance(value, bool) else str(getattr(value, "value", value))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def python() -> Iterator[str]:
    """Yield a page of the public Python names, which mkdocstrings fills from their docstrings."""
    yield "# Python\n"
    yield "These names are public; everything else can change without notice.\n"
    for name in sorted(autopeft.__all__):
        yield f"::: {autopeft._PUBLIC[name]}.{name}\n"
    for name in ("autopeft.samplers.bayesian.BayesianSampler", "autopeft.methods.method.Method", "autopeft.tasks.task.Task"):
        yield f"::: {name}\n"
