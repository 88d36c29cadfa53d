"""The command line of `medground audit`. Nothing heavy is imported here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from medground.cli.database import HELP, database_url
from medground.cli.exit_code import exit_code_of

_DATABASE = typer.Option(help=HELP)
_KEY = typer.Option(help="File with the secret that marks anchors, 32 bytes or more; plain anchors if left out.")
_DEBUG = typer.Option(help="Show the traceback of an error.")


def add_audit(app: typer.Typer) -> None:
    """Add the commands."""
    audit = typer.Typer(
        help="Check, anchor, export and show the log of who did what.", no_args_is_help=True, rich_markup_mode=None
    )
    app.add_typer(audit, name="audit")
    _add_verify_and_anchor(audit)
    _add_export_and_show(audit)


def _add_verify_and_anchor(audit: typer.Typer) -> None:
    @audit.command()
    def verify(
        database: Annotated[str | None, _DATABASE] = None,
        anchor: Annotated[Path | None, typer.Option(help="File that `anchor` wrote, kept elsewhere.")] = None,
        key: Annotated[Path | None, _KEY] = None,
        debug: Annotated[bool, _DEBUG] = False,
    ) -> None:
        """Check that no entry was edited, deleted, moved or put in; with anchors, also that the end is not cut off.

        Exit codes: 0 whole, 2 broken or unusable.
        """

        def work() -> int:
            from medground.cli.audit import run_verify

            return run_verify(database_url(database, os.environ), anchor, key)

        raise typer.Exit(exit_code_of(work, debug=debug))

    @audit.command()
    def anchor(
        out: Annotated[Path, typer.Option(help="File to add a line to; keep it, or a copy, on another machine.")],
        database: Annotated[str | None, _DATABASE] = None,
        key: Annotated[Path | None, _KEY] = None,
        every: Annotated[int, typer.Option(help="Only if so many entries came since the last anchor.")] = 1,
        debug: Annotated[bool, _DEBUG] = False,
    ) -> None:
        """Write the number and hash of the last entry to a file outside the database."""

        def work() -> int:
            from medground.cli.audit import run_anchor

            return run_anchor(database_url(database, os.environ), out, key, every)

        raise typer.Exit(exit_code_of(work, debug=debug))


def _add_export_and_show(audit: typer.Typer) -> None:
    @audit.command()
    def export(
        out: Annotated[Path, typer.Option(help="File to write, .ndjson; must not be there yet.")],
        database: Annotated[str | None, _DATABASE] = None,
        since: Annotated[
            str | None, typer.Option(help="From this time on, e.g. 2026-01-31 or 2026-01-31T08:00Z.")
        ] = None,
        until: Annotated[str | None, typer.Option(help="Before this time; UTC, if it has no offset.")] = None,
        debug: Annotated[bool, _DEBUG] = False,
    ) -> None:
        """Write the log as FHIR R4 AuditEvent resources, one per line."""

        def work() -> int:
            from medground.cli.audit import run_export

            return run_export(database_url(database, os.environ), out, since, until)

        raise typer.Exit(exit_code_of(work, debug=debug))

    @audit.command()
    def show(
        database: Annotated[str | None, _DATABASE] = None,
        last: Annotated[int, typer.Option(help="So many entries, newest first.")] = 20,
        tenant: Annotated[str | None, typer.Option(help="Only of this tenant.")] = None,
        actor: Annotated[str | None, typer.Option(help="Only what this token, subject or AE title did.")] = None,
        object_: Annotated[
            str | None, typer.Option("--object", help="Only what was done to the object of this key.")
        ] = None,
        debug: Annotated[bool, _DEBUG] = False,
    ) -> None:
        """Show the last entries."""

        def work() -> int:
            from medground.cli.audit import run_show

            return run_show(database_url(database, os.environ), last, tenant=tenant, actor=actor, object_id=object_)

        raise typer.Exit(exit_code_of(work, debug=debug))
