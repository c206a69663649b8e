"""autopeft watch: a run's report in a browser, while it runs."""

from pathlib import Path
from typing import Annotated

import typer

from autopeft.cli.opening import say_first


def watch(
    run: Annotated[Path, typer.Argument(help="Folder of a run, such as runs/demo.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this machine; 0: any that is free.")] = 0,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Show a run's report in a browser, and keep it up to date while a search, a retraining or baselines run.

    Prints an address that only this machine reaches, with a token in it, and serves until Ctrl-C. The page is what autopeft report writes.

    Examples:
      autopeft watch runs/demo

      autopeft watch runs/demo --open
    """
    say_first("making the page", to_people_only=True)
    from autopeft.cli.stopping import heed_termination
    from autopeft.report.live import LiveServer
    from autopeft.study.directory import RunDirectory

    heed_termination()
    with LiveServer(RunDirectory.open(run), port) as server:
        typer.echo(server.address)
        if open_browser:
            import webbrowser

            webbrowser.open(server.address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return
