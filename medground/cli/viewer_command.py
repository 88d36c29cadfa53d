"""The command line of `medground viewer`. Nothing heavy is imported here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medground.cli.exit_code import exit_code_of


def add_viewer(app: typer.Typer) -> None:
    """Add the command to the command line."""

    @app.command()
    def viewer(
        service: Annotated[
            str | None, typer.Option(help="Address of a service. Without one the viewer starts its own on loopback.")
        ] = None,
        config: Annotated[Path | None, typer.Option(help="Config file (TOML); see docs/viewer.md.")] = None,
        port: Annotated[int | None, typer.Option(help="Port of the page; 0 takes a free one.")] = None,
        state: Annotated[
            Path, typer.Option(help="Folder of the viewer's own service: its studies and answers stay there.")
        ] = Path("out/viewer"),
        debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
    ) -> None:
        """Open studies in a browser: ask, look, correct and sign.

        Alone it shows synthetic studies and prints a link that lets in once; with --service everybody signs in.
        """

        def work() -> int:
            from medground.cli.viewer import Options, run_viewer

            return run_viewer(Options(service, config, port, state))

        raise typer.Exit(exit_code_of(work, debug=debug))
