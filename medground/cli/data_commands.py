"""The commands that read and write data sets. Nothing heavy is imported here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medground.cli.exit_code import exit_code_of
from medground.schema.errors import UsageError


def add_data_commands(app: typer.Typer) -> None:
    """The commands that read and write data sets."""

    @app.command("import")
    def import_(  # noqa: PLR0913 - the command line is the function signature
        format_: Annotated[str, typer.Argument(metavar="FORMAT", help="Name of the layout; `list` shows them all.")],
        source: Annotated[Path | None, typer.Argument(metavar="SRC", help="The file or folder as published.")] = None,
        out: Annotated[Path | None, typer.Option(help="Folder for the data set.")] = None,
        name: Annotated[str | None, typer.Option(help="Name of the data set; the format's if left out.")] = None,
        vocabulary: Annotated[Path | None, typer.Option(help="JSON with your own concepts, medical or not.")] = None,
        class_: Annotated[
            list[str] | None, typer.Option("--class", help="NAME=KEY: a class name and its concept.")
        ] = None,
        exhaustive_for: Annotated[
            list[str] | None,
            typer.Option(help="Concept whose every region is labelled on every image; may be repeated."),
        ] = None,
        domain: Annotated[
            str | None, typer.Option(help="chest-radiograph, limb-radiograph, chest-CT or other.")
        ] = None,
        images: Annotated[
            Path | None, typer.Option(help="Folder of the images, if not where they are published.")
        ] = None,
        no_images: Annotated[bool, typer.Option("--no-images", help="Read the annotations alone.")] = False,
        link: Annotated[bool, typer.Option("--link", help="Leave the images where they are.")] = False,
        no_near_duplicates: Annotated[
            bool, typer.Option("--no-near-duplicates", help="Do not compare the pictures with each other.")
        ] = False,
        replace: Annotated[bool, typer.Option("--replace", help="Replace the data set in --out.")] = False,
        debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
    ) -> None:
        """Read a published data set; write it as one, with an account of every box.

        Example: medground import fracatlas FracAtlas/ --out data/fracatlas
        """

        def work() -> int:
            from medground.cli.import_data import Options, formats_help, run_import

            if format_ == "list":
                typer.echo(formats_help())
                return 0
            if source is None or out is None:
                raise UsageError("give the source and --out FOLDER, e.g. medground import coco SRC --out DIR")
            options = Options(
                format=format_,
                source=source,
                out=out,
                name=name,
                vocabulary=vocabulary,
                classes=tuple(class_ or ()),
                exhaustive_for=tuple(exhaustive_for or ()),
                domain=domain,
                images=images,
                with_images=not no_images,
                link=link,
                near_duplicates=not no_near_duplicates,
                replace=replace,
            )
            return run_import(options)

        raise typer.Exit(exit_code_of(work, debug=debug))

    data = typer.Typer(help="Work with imported data sets.", no_args_is_help=True, rich_markup_mode=None)
    app.add_typer(data, name="data")

    @data.command()
    def export(  # noqa: PLR0913 - the command line is the function signature
        folder: Annotated[Path, typer.Argument(metavar="DIR", help="A data set that `medground import` wrote.")],
        out: Annotated[Path, typer.Option(help="Folder for the export.")],
        format_: Annotated[str, typer.Option("--format", help="coco, or qwen for conversations as JSON lines.")],
        coordinates: Annotated[
            str, typer.Option(help="relative: 0 to 1000 (Qwen2-VL, 3-VL); absolute: resized pixels (Qwen2.5-VL).")
        ] = "relative",
        factor: Annotated[int, typer.Option(min=1, help="The processor rounds sides to it: 28, or 32 for 3-VL.")] = 28,
        part: Annotated[str | None, typer.Option(help="Only images of this part.")] = None,
        seed: Annotated[int, typer.Option(help="Of the wording of questions.")] = 0,
        no_images: Annotated[bool, typer.Option("--no-images", help="Write no pictures.")] = False,
        debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
    ) -> None:
        """Write a data set for other tools."""

        def work() -> int:
            from medground.cli.export_data import Options, run_export

            return run_export(Options(folder, out, format_, coordinates, factor, part, seed, not no_images))

        raise typer.Exit(exit_code_of(work, debug=debug))

    @data.command()
    def split(
        folder: Annotated[Path, typer.Argument(metavar="DIR", help="A data set that `medground import` wrote.")],
        salt: Annotated[str, typer.Option(help="Names the split; another one gives other parts.")] = "medground",
        valid: Annotated[float, typer.Option(help="Share of patients without a published part, for valid.")] = 0.2,
        dev: Annotated[float, typer.Option(help="Share of train's patients, to tune on.")] = 0.15,
        debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
    ) -> None:
        """Put a data set into parts by patient and check them for leaks."""

        def work() -> int:
            from medground.cli.split_data import run_split

            return run_split(folder, salt, valid, dev)

        raise typer.Exit(exit_code_of(work, debug=debug))

    @data.command()
    def card(
        folder: Annotated[Path, typer.Argument(metavar="DIR", help="A data set that `medground import` wrote.")],
        out: Annotated[Path | None, typer.Option(help="Folder for the card; the data set's own if left out.")] = None,
        licence: Annotated[str | None, typer.Option(help="Name or URL; `not stated` if left out.")] = None,
        source: Annotated[str | None, typer.Option(help="Where the images come from: URL, paper, hospital.")] = None,
        description: Annotated[str | None, typer.Option(help="What it is, who is in it and who is not.")] = None,
        debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
    ) -> None:
        """Write a data card: a page for people, and Croissant for programs."""

        def work() -> int:
            from medground.cli.data_card import Options, run_card

            return run_card(Options(folder, out, licence, source, description))

        raise typer.Exit(exit_code_of(work, debug=debug))
