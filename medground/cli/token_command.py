"""The command line of `medground token`. Nothing heavy is imported here."""

from __future__ import annotations

from typing import Annotated

import typer

from medground.cli.database import HELP
from medground.cli.exit_code import exit_code_of

_DATABASE = typer.Option(help=HELP)
_DEBUG = typer.Option(help="Show the traceback of an error.")


def add_token(app: typer.Typer) -> None:
    """Add the commands."""
    token = typer.Typer(
        help="Tokens that programs and people use the service with.", no_args_is_help=True, rich_markup_mode=None
    )
    app.add_typer(token, name="token")
    _add_create(token)

    @token.command("list")
    def list_(
        tenant: Annotated[str | None, typer.Option(help="Only those of this tenant.")] = None,
        database: Annotated[str | None, _DATABASE] = None,
        debug: Annotated[bool, _DEBUG] = False,
    ) -> None:
        """Show what is known of each token: never its secret."""

        def work() -> int:
            from medground.cli.tokens import run_list

            return run_list(tenant, database)

        raise typer.Exit(exit_code_of(work, debug=debug))

    @token.command()
    def revoke(
        token_id: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")],
        database: Annotated[str | None, _DATABASE] = None,
        debug: Annotated[bool, _DEBUG] = False,
    ) -> None:
        """Accept a token no more, from now on."""

        def work() -> int:
            from medground.cli.tokens import run_revoke

            return run_revoke(token_id, database)

        raise typer.Exit(exit_code_of(work, debug=debug))


def _add_create(token: typer.Typer) -> None:
    @token.command()
    def create(
        name: Annotated[str, typer.Option(help="What people call it, e.g. the program that gets it.")],
        tenant: Annotated[str, typer.Option(help="Whose studies it opens.")],
        scopes: Annotated[str, typer.Option(help="ground, read, review, sign, admin, audit, joined by commas.")],
        days: Annotated[int, typer.Option(help="How long it lasts, 1 to 366.")] = 90,
        database: Annotated[str | None, _DATABASE] = None,
        debug: Annotated[bool, _DEBUG] = False,
    ) -> None:
        """Make a token, and print it on stdout; it is shown this once and kept nowhere.

        medground token create --name reading-room --tenant main --scopes ground,read > token
        """

        def work() -> int:
            from medground.cli.tokens import run_create

            return run_create(name, tenant, scopes, days, database)

        raise typer.Exit(exit_code_of(work, debug=debug))
