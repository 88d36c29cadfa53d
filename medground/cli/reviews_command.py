"""The command line of `medground reviews`. Nothing heavy is imported here."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from medground.cli.exit_code import exit_code_of


def add_reviews(app: typer.Typer) -> None:
    """Add the commands."""
    reviews = typer.Typer(help="What people made of results.", no_args_is_help=True, rich_markup_mode=None)
    app.add_typer(reviews, name="reviews")

    @reviews.callback()
    def group() -> None:
        """What people made of results."""

    @reviews.command()
    def export(
        out: Annotated[Path, typer.Option(help="Folder for the data set and its card.")],
        token: Annotated[Path, typer.Option(help="File with a token of the scope review.")],
        service: Annotated[
            str, typer.Option(envvar="MEDGROUND_SERVICE", help="Address of the service.")
        ] = "http://127.0.0.1:8080",
        since: Annotated[datetime | None, typer.Option(help="Only results with an entry since then, UTC.")] = None,
        licence: Annotated[str | None, typer.Option(help="Name or URL; `not stated` if left out.")] = None,
        source: Annotated[str | None, typer.Option(help="Where the images come from.")] = None,
        description: Annotated[str | None, typer.Option(help="Who is in it and who is not.")] = None,
        debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
    ) -> None:
        """Write accepted, edited, added and rejected findings as a version of a data set, with its card.

        Images are named by the SHA-256 of their files, which stay where they are; nobody is named at all.
        """

        def work() -> int:
            from medground.cli.reviews_export import Options, run_export

            time = since.replace(tzinfo=UTC) if since is not None else None
            return run_export(Options(out, token, service, time, licence, source, description))

        raise typer.Exit(exit_code_of(work, debug=debug))
