"""`python -m apps.viewer --config viewer.toml`: the process of `medground viewer`, for containers and supervisors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medground.cli.exit_code import exit_code_of
from medground.cli.viewer import Options, run_viewer


def main(
    config: Annotated[Path, typer.Option(help="Config file (TOML) that names a service; see docs/viewer.md.")],
) -> None:
    """Show studies in browsers until stopped."""
    options = Options(service=None, config=config, port=None, state=Path("out/viewer"))
    raise typer.Exit(exit_code_of(lambda: run_viewer(options)))


if __name__ == "__main__":
    typer.run(main)
