"""The command line of `medground card verify`. Nothing heavy is imported here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medground.cli.exit_code import exit_code_of


def add_card_verify(card: typer.Typer) -> None:
    """Add the command to the group."""

    @card.command()
    def verify(  # noqa: PLR0913 - the command line is the function signature
        directory: Annotated[
            Path | None,
            typer.Argument(metavar="DIR", help="What `export` wrote; that of the shipped model if none is named."),
        ] = None,
        trust: Annotated[
            list[Path] | None,
            typer.Option(
                help="Public key whose cards count, or a folder of *.pub; may be repeated. Besides those of the "
                "package, and of MEDGROUND_CARD_KEYS."
            ),
        ] = None,
        audit_log: Annotated[
            str | None, typer.Option(help="Look the export up in this log: sqlite:///FILE or postgresql://HOST/NAME.")
        ] = None,
        anchor: Annotated[
            Path | None, typer.Option(help="Look it up in this file of anchors, kept elsewhere than the log.")
        ] = None,
        anchor_key: Annotated[Path | None, typer.Option(help="File with the secret that marks the anchors.")] = None,
        recompute: Annotated[
            bool,
            typer.Option(
                "--recompute", help="Compute every number again from the evidence, and name those that differ."
            ),
        ] = False,
        from_images: Annotated[
            bool,
            typer.Option(
                "--from-images", help="Run the model again on the phantoms of the evidence, made from their seeds."
            ),
        ] = False,
        bundle: Annotated[
            Path | None, typer.Option(help="Bundle of the model, for --from-images (default: the shipped one).")
        ] = None,
        most: Annotated[
            int | None, typer.Option(min=1, help="At most so many phantoms of each scene, for --from-images.")
        ] = None,
        json_: Annotated[
            bool, typer.Option("--json", help="Print what was found as JSON on stdout, and only that.")
        ] = False,
        debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
    ) -> None:
        """Check signature, hashes, chain and schemas of a model card, offline.

        Exit codes: 0 whole, 2 something is wrong with it or it cannot be checked, 1 anything else.
        """

        def work() -> int:
            from medground.cards.layout import card_beside
            from medground.cli.card_verify import Options, run_verify
            from medground.model.bundle_facts import shipped_bundle_path

            card = directory or card_beside(shipped_bundle_path())
            logs = (audit_log, anchor, anchor_key)
            return run_verify(Options(card, tuple(trust or ()), *logs, json_, recompute, from_images, bundle, most))

        raise typer.Exit(exit_code_of(work, debug=debug))
