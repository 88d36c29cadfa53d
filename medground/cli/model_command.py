"""The command line of `medground model`. Nothing heavy is imported here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medground.cli.database import HELP
from medground.cli.exit_code import exit_code_of

_DEBUG = typer.Option(help="Show the traceback of an error.")
_REGISTRY = typer.Option(help="MLflow's home, or sqlite:///FOLDER/mlflow.db.")
_SERVICE = typer.Option(envvar="MEDGROUND_SERVICE", help="Address of the service.")


def add_model(app: typer.Typer) -> None:
    """Add the commands."""
    model = typer.Typer(
        help="The registry of models: promote one, list them, and see how the current one drifts.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    app.add_typer(model, name="model")
    _add_promote(model)
    _add_list_and_drift(model)


def _add_promote(model: typer.Typer) -> None:
    @model.command()
    def promote(  # noqa: PLR0913 - the command line is the function signature
        card: Annotated[Path, typer.Option(help="Card of the model: what `medground card export` wrote.")],
        bundle: Annotated[Path | None, typer.Option(help="Folder of the model; the shipped one if left out.")] = None,
        registry: Annotated[str, _REGISTRY] = "mlruns",
        alias: Annotated[str, typer.Option(help="Name of the current model, which is moved.")] = "champion",
        current_card: Annotated[
            Path | None, typer.Option(help="Card of the current model, where the registry keeps none.")
        ] = None,
        trust: Annotated[
            list[Path] | None, typer.Option(help="Public key whose cards count, or a folder of *.pub; repeatable.")
        ] = None,
        database: Annotated[str | None, typer.Option(help=f"Audit log that records the decision: {HELP}")] = None,
        yes: Annotated[bool, typer.Option("--yes", help="Do not ask before the alias is moved.")] = False,
        json_: Annotated[
            bool, typer.Option("--json", help="Print the record as JSON on stdout, and only that.")
        ] = False,
        debug: Annotated[bool, _DEBUG] = False,
    ) -> None:
        """Make a model the current one, if its card holds and it is not worse than the one that is.

        Exit codes: 0 promoted, 2 refused or impossible. A refusal is recorded with its reasons.
        """

        def work() -> int:
            from medground.cli.model_promote import Options, run_promote

            options = Options(
                card, bundle, registry, alias, current_card, tuple(trust or ()), database, yes=yes, as_json=json_
            )
            return run_promote(options, lambda question: typer.confirm(question, err=True))

        raise typer.Exit(exit_code_of(work, debug=debug))


def _add_list_and_drift(model: typer.Typer) -> None:
    @model.command("list")
    def list_(
        registry: Annotated[str, _REGISTRY] = "mlruns",
        debug: Annotated[bool, _DEBUG] = False,
    ) -> None:
        """Show the versions, which alias they have, and what the gate decided of them."""

        def work() -> int:
            from medground.cli.model_promote import run_list

            return run_list(registry)

        raise typer.Exit(exit_code_of(work, debug=debug))

    @model.command()
    def drift(
        out: Annotated[Path, typer.Option(help="Page to write, HTML.")],
        token: Annotated[Path, typer.Option(help="File with a token of the scope audit.")],
        service: Annotated[str, _SERVICE] = "http://127.0.0.1:8080",
        weeks: Annotated[int, typer.Option(min=1, max=104, help="How far back.")] = 26,
        debug: Annotated[bool, _DEBUG] = False,
    ) -> None:
        """Write a page of scores and acceptance by finding and week, with what is out of the ordinary."""

        def work() -> int:
            from medground.cli.model_drift import run_drift

            return run_drift(service, token, out, weeks)

        raise typer.Exit(exit_code_of(work, debug=debug))
