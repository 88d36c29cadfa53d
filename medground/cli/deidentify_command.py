"""The command line of `medground deidentify`. Nothing heavy is imported here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medground.cli.exit_code import exit_code_of


def add_deidentify(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def deidentify(  # noqa: PLR0913 - the command line is the function signature
        source: Annotated[Path, typer.Argument(metavar="SRC", help="DICOM file, folder or ZIP.")],
        out: Annotated[Path, typer.Option("--out", "--dst", help="Folder to make; absent or empty.")],
        profile: Annotated[str, typer.Option(help="PS3.15 profile: basic.")] = "basic",
        shift_dates: Annotated[
            bool, typer.Option("--shift-dates", help="Move each patient's dates instead of removing them.")
        ] = False,
        keep_patient_characteristics: Annotated[
            bool, typer.Option("--keep-patient-characteristics", help="Keep sex, age (at most 90), size, weight.")
        ] = False,
        keep_device: Annotated[bool, typer.Option("--keep-device", help="Keep the identity of the device.")] = False,
        keep_uids: Annotated[bool, typer.Option("--keep-uids", help="Keep the UIDs.")] = False,
        allow_burned_in: Annotated[
            bool, typer.Option("--allow-burned-in", help="Take images that may show text.")
        ] = False,
        key_file: Annotated[
            Path | None, typer.Option(help="Key of the pseudonyms, made if absent; else a random one, forgotten.")
        ] = None,
        debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
    ) -> None:
        """Write a copy without what identifies the patient, then search it for what is left.

        Exit codes: 0 done, 2 nothing published, 4 some files refused.
        """

        def work() -> int:
            from medground.cli.deidentify import DeidentifyOptions, run_deidentify

            return run_deidentify(
                DeidentifyOptions(
                    source,
                    out,
                    profile,
                    shift_dates,
                    keep_patient_characteristics,
                    keep_device,
                    keep_uids,
                    allow_burned_in,
                    key_file,
                )
            )

        raise typer.Exit(exit_code_of(work, debug=debug))
