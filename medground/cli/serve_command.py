"""`medground serve`: one command, one config file, one service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medground.cli.exit_code import exit_code_of


def add_serve(app: typer.Typer) -> None:
    """Add the command to the command line."""

    @app.command()
    def serve(  # noqa: PLR0913 - the command line is the function signature
        config: Annotated[
            Path | None, typer.Option(help="Config file (TOML); see docs/service.md. Without one: loopback, SQLite.")
        ] = None,
        state: Annotated[
            Path | None, typer.Option(help="Folder for files and database, instead of the config's.")
        ] = None,
        port: Annotated[
            int | None, typer.Option(help="HTTP port, instead of the config's; 0 takes a free one.")
        ] = None,
        dicom_port: Annotated[
            int | None, typer.Option(help="Receive DICOM on this port; who may send stands in the config.")
        ] = None,
        database: Annotated[
            str | None,
            typer.Option(
                envvar="MEDGROUND_DATABASE",
                help="sqlite:///PATH or postgresql://HOST/NAME, instead of the config's; many workers share one.",
            ),
        ] = None,
        without_card: Annotated[
            bool, typer.Option("--without-card", help="Serve a model that has no verified card, with a warning.")
        ] = False,
        role: Annotated[str, typer.Option(help="all, api or worker: what this process does.")] = "all",
        ends_with_input: Annotated[
            bool,
            typer.Option(hidden=True, help="End once standard input ends: with the process that started this one."),
        ] = False,
        debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
    ) -> None:
        """Answer questions over HTTP and DICOM until stopped; everything accepted outlives a crash.

        Make a token first: medground token create --name me --tenant clinic --scopes ground,read,review
        """

        def work() -> int:
            from medground.cli.serve import Options, run_serve

            return run_serve(Options(config, state, port, dicom_port, database, role, ends_with_input, without_card))

        raise typer.Exit(exit_code_of(work, debug=debug))
