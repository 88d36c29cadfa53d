"""The command line of `medground card`. Nothing heavy is imported here."""

from __future__ import annotations

import typer

from medground.cli.card_export_command import add_card_export
from medground.cli.card_keygen_command import add_card_keygen
from medground.cli.card_verify_command import add_card_verify


def add_card(app: typer.Typer) -> None:
    """Add the commands."""
    card = typer.Typer(
        help="Cards of models: every number can be computed again, and any edit is found.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    app.add_typer(card, name="card")
    add_card_export(card)
    add_card_verify(card)
    add_card_keygen(card)
