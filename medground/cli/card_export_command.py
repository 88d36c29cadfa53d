"""The command line of `medground card export`. Nothing heavy is imported here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medground.cli.exit_code import exit_code_of


def add_card_export(card: typer.Typer) -> None:
    """Add the command to the group."""

    @card.command()
    def export(  # noqa: PLR0913 - the command line is the function signature
        out: Annotated[Path, typer.Option(help="Directory to write; must not be there yet.")],
        bundle: Annotated[Path | None, typer.Option(help="Model bundle folder that the card is of.")] = None,
        run: Annotated[
            str | None, typer.Option(help="MLflow run, by id or name, whose bundle and evaluations the card is of.")
        ] = None,
        evidence: Annotated[
            Path | None,
            typer.Option(
                help="What `python -m pipelines card-evidence` wrote; for --bundle, else that of the card beside it."
            ),
        ] = None,
        stated: Annotated[
            Path | None, typer.Option(help="YAML with what the makers say, if collected from --run.")
        ] = None,
        key: Annotated[Path | None, typer.Option(help="Private key to sign with; `keygen` makes one.")] = None,
        passphrase: Annotated[Path | None, typer.Option(help="File with the passphrase of the key.")] = None,
        unsigned: Annotated[bool, typer.Option("--unsigned", help="Write a draft that nobody can verify.")] = False,
        database: Annotated[
            str | None,
            typer.Option(help="Audit log that records the export; else MEDGROUND_DATABASE, else medground-state."),
        ] = None,
        anchor: Annotated[Path | None, typer.Option(help="File of anchors to add a line to.")] = None,
        anchor_key: Annotated[Path | None, typer.Option(help="File with the secret that marks the anchors.")] = None,
        mlruns: Annotated[Path, typer.Option(help="MLflow's home, for --run.")] = Path("mlruns"),
        experiment: Annotated[str, typer.Option(help="MLflow's experiment, for --run.")] = "medground",
        replace: Annotated[bool, typer.Option("--replace", help="Replace the card at --out.")] = False,
        debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
    ) -> None:
        """Write the card of a model: for people, for programs, with its evidence, signed and recorded.

        Examples: medground card export --bundle medground/bundles/compact --key card-key.pem --out card; of another
        bundle than the shipped one: medground card export --bundle DIR --evidence DIR --key card-key.pem --out card
        """

        def work() -> int:
            from medground.cli.card_export import Options, run_export

            return run_export(
                Options(
                    out=out,
                    bundle=bundle,
                    run=run,
                    evidence=evidence,
                    stated=stated,
                    key=key,
                    passphrase=passphrase,
                    unsigned=unsigned,
                    database=database,
                    anchor=anchor,
                    anchor_key=anchor_key,
                    mlruns=mlruns,
                    experiment=experiment,
                    replace=replace,
                )
            )

        raise typer.Exit(exit_code_of(work, debug=debug))
