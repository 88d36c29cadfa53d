"""The command line of `medground prototypes`. Nothing heavy is imported here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medground.cli.exit_code import exit_code_of

_BUNDLE = typer.Option(help="The trained bundle; it stays as it is.")
_BASE = typer.Option(help="Folder or hub id of the pretrained model, for a bundle trained beside one.")
_OUT = typer.Option(help="Folder for the new bundle; must not be there yet.")


def add_prototypes(app: typer.Typer) -> None:
    """Add the commands."""
    prototypes = typer.Typer(
        help="Teach a trained bundle a class from a few images: no training, no weight changes.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    app.add_typer(prototypes, name="prototypes")
    _add_add(prototypes)

    @prototypes.command("list")
    def list_(
        bundle: Annotated[Path, typer.Option(help="A bundle folder.")],
        base: Annotated[str | None, _BASE] = None,
        debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
    ) -> None:
        """Show the classes that have prototypes, the images behind each, and the prototypes' share of its score."""

        def work() -> int:
            from medground.cli.prototypes import run_list

            return run_list(bundle, base)

        raise typer.Exit(exit_code_of(work, debug=debug))

    @prototypes.command()
    def remove(
        bundle: Annotated[Path, _BUNDLE],
        concept: Annotated[str, typer.Option(help="Key of a class that `add` added, or added cases to.")],
        out: Annotated[Path, _OUT],
        base: Annotated[str | None, _BASE] = None,
        debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
    ) -> None:
        """Write a bundle without a class that was added to it; a class from training loses the cases added to it."""

        def work() -> int:
            from medground.cli.prototypes import run_remove

            return run_remove(bundle, concept, out, base)

        raise typer.Exit(exit_code_of(work, debug=debug))


def _add_add(prototypes: typer.Typer) -> None:
    @prototypes.command()
    def add(  # noqa: PLR0913 - the command line is the function signature
        bundle: Annotated[Path, _BUNDLE],
        images: Annotated[Path, typer.Option(help="Labelled images: a data set, or a folder or file as published.")],
        concept: Annotated[str, typer.Option(help="Key of the class, lower snake case, e.g. lung_cyst.")],
        out: Annotated[Path, _OUT],
        format_: Annotated[
            str, typer.Option("--format", help="auto, or a layout that `medground import list` names.")
        ] = "auto",
        name: Annotated[str | None, typer.Option(help="English name, for a class the vocabulary lacks.")] = None,
        name_zh: Annotated[str | None, typer.Option(help="Chinese name.")] = None,
        synonym: Annotated[
            list[str] | None, typer.Option(help="Another word for it, English or Chinese; may be repeated.")
        ] = None,
        code: Annotated[
            str | None, typer.Option(help="SCHEME:VALUE, e.g. SCT:1234; a private code if left out.")
        ] = None,
        class_: Annotated[
            list[str] | None, typer.Option("--class", help="Class name in the files that means this class.")
        ] = None,
        domain: Annotated[
            str | None, typer.Option(help="chest-radiograph, limb-radiograph, chest-CT; else the bundle judges.")
        ] = None,
        keep_thumbnails: Annotated[
            bool,
            typer.Option(
                "--keep-thumbnails",
                help="Keep a small picture of each region in the bundle, for everybody who is shown similar cases; "
                "pictures of patients then lie in it.",
            ),
        ] = False,
        device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
        base: Annotated[str | None, _BASE] = None,
        debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
    ) -> None:
        """Write a bundle that also finds a class seen on a few images.

        Draw every region of the class on each image, on five to twenty images. Then:

        medground prototypes add --bundle trained --images cysts/ --concept lung_cyst --name "lung cyst"
        --name-zh 肺囊肿 --synonym "pulmonary cyst" --out with-cysts

        medground ground film.dcm --bundle with-cysts --query "find the lung cyst"

        The summary says how many of the given boxes are found when their own patient is left out: if few are, the
        network's features do not tell the class apart, and only training helps. A class from training sees the images
        as further examples. Scores of an added class are not calibrated.

        The regions become cases that are shown beside similar findings: side, zone, size and look, no name and no file.
        Pictures of them are kept only with --keep-thumbnails.
        """

        def work() -> int:
            from medground.cli.class_examples import AddOptions
            from medground.cli.prototypes import run_add

            return run_add(
                AddOptions(
                    bundle=bundle,
                    images=images,
                    concept=concept,
                    out=out,
                    format=format_,
                    name=name,
                    name_zh=name_zh,
                    synonyms=tuple(synonym or ()),
                    code=code,
                    classes=tuple(class_ or ()),
                    domain=domain,
                    keep_thumbnails=keep_thumbnails,
                    device=device,
                    base=base,
                )
            )

        raise typer.Exit(exit_code_of(work, debug=debug))
