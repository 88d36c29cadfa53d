"""The command line of `medground card keygen`. Nothing heavy is imported here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medground.cli.exit_code import exit_code_of

PASSPHRASE_HELP = "File with the passphrase of the private key; none if left out."


def add_card_keygen(card: typer.Typer) -> None:
    """Add the command to the group."""

    @card.command()
    def keygen(
        out: Annotated[Path, typer.Option(help="Folder for the two files; a key that is there is never replaced.")],
        passphrase: Annotated[Path | None, typer.Option(help=PASSPHRASE_HELP)] = None,
        debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
    ) -> None:
        """Make an ECDSA P-256 key pair: card-key.pem, which signs cards, and card-key.pub, which checks them."""

        def work() -> int:
            from medground.cli.card_keygen import run_keygen

            return run_keygen(out, passphrase)

        raise typer.Exit(exit_code_of(work, debug=debug))
