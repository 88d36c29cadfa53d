"""The command line. Nothing heavy is imported here: `medground --help` answers at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medground import __version__
from medground.cli.audit_command import add_audit
from medground.cli.card_command import add_card
from medground.cli.data_commands import add_data_commands
from medground.cli.deidentify_command import add_deidentify
from medground.cli.exit_code import exit_code_of
from medground.cli.model_command import add_model
from medground.cli.prototypes_command import add_prototypes
from medground.cli.reviews_command import add_reviews
from medground.cli.serve_command import add_serve
from medground.cli.token_command import add_token
from medground.cli.viewer_command import add_viewer
from medground.schema.errors import UsageError

if TYPE_CHECKING:
    from medground.inference.reader import Reader

LoadReader = Callable[[Path | None, str, str | None], "Reader"]

FORMATS = ("json", "png", "sr", "gsps", "seg")
DEVICES = ("auto", "cpu", "cuda")
LOOKS = ("once", "closer", "all")


def load_reader(bundle: Path | None, device: str, base: str | None = None) -> Reader:
    """The model that ships, or the one in `bundle`: the one door from the command line to torch.

    Args:
        bundle: a bundle folder; None for the shipped one.
        device: `auto`, `cpu` or `cuda`.
        base: pretrained weights, for a bundle that was trained beside some.

    Raises:
        UsageError: the device or the pretrained weights are not there.
        BundleError: the bundle is missing or damaged.
    """
    from medground.model.grounder import load_grounder

    return load_grounder(bundle, device, base=base)


def create_app(load: LoadReader = load_reader) -> typer.Typer:
    """The command line over a way to load a model.

    Args:
        load: gives the model for `--bundle`, `--device` and `--base`.
    """
    app = typer.Typer(
        name="medground",
        help="Ask a DICOM study in words; get boxes, each with a calibrated score and a description to review. "
        "Research software, not a medical device.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )

    @app.callback()
    def medground(
        version: Annotated[
            bool, typer.Option("--version", help="Show the version and exit.", callback=_version, is_eager=True)
        ] = False,
    ) -> None:
        """Options before a command."""

    @app.command()
    def ground(  # noqa: PLR0913 - the command line is the function signature
        inputs: Annotated[
            list[Path], typer.Argument(metavar="INPUT...", help="DICOM file, folder, ZIP, PNG or JPEG; one or more.")
        ],
        query: Annotated[list[str], typer.Option(help="A question, in English or Chinese; may be repeated.")],
        out: Annotated[Path | None, typer.Option(help="Folder for results.json, pictures and reports.")] = None,
        bundle: Annotated[Path | None, typer.Option(help="Model bundle folder; the shipped one if left out.")] = None,
        min_score: Annotated[
            float | None, typer.Option(help="Show no box below this score, 0 to 1; the bundle's own if left out.")
        ] = None,
        max_boxes: Annotated[int, typer.Option(help="At most so many boxes per answer.")] = 300,
        top_k: Annotated[int, typer.Option(help="Describe so many of them in the model's words, best first.")] = 10,
        look: Annotated[
            str | None,
            typer.Option(
                help="How closely: once (the whole image, made small), closer (and at full resolution where that may "
                "show more), all (and at full resolution everywhere); closer, if the bundle was trained for it."
            ),
        ] = None,
        format_: Annotated[
            str, typer.Option("--format", help="What to write: json, png, sr, gsps, seg, joined by commas.")
        ] = "json,png,sr",
        device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
        base: Annotated[
            str | None, typer.Option(help="Folder or hub id of the pretrained model, for a bundle trained beside one.")
        ] = None,
        clip: Annotated[
            Path | None, typer.Option(help="Folder of a CLIP model that is heard too where a question names a look.")
        ] = None,
        json_: Annotated[
            bool, typer.Option("--json", help="Print the result as JSON on stdout, and only that.")
        ] = False,
        debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
    ) -> None:
        """Answer questions about DICOM studies and pictures.

        Exit codes: 0 answered (also "not found"), 2 bad input or usage, 3 model bundle missing or damaged,
        4 some images answered and some refused, 1 anything else.
        """

        def work() -> int:
            from medground.cli.ground import Options, run_ground
            from medground.inference.request import Looking

            options = Options(
                inputs=tuple(inputs),
                queries=tuple(query),
                out=out,
                bundle=bundle,
                min_score=min_score,
                max_boxes=max_boxes,
                top_k=top_k,
                look=Looking(_one_of([look], LOOKS, "--look")[0]) if look else None,
                formats=_one_of(format_.split(","), FORMATS, "--format"),
                device=_one_of([device], DEVICES, "--device")[0],
                base=base,
                clip=clip,
                as_json=json_,
                debug=debug,
            )
            return run_ground(options, load)

        raise typer.Exit(exit_code_of(work, debug=debug))

    add_deidentify(app)
    add_data_commands(app)
    add_prototypes(app)
    add_serve(app)
    add_audit(app)
    add_card(app)
    add_model(app)
    add_reviews(app)
    add_token(app)
    add_viewer(app)
    return app


def run() -> None:
    """Entry point of the `medground` command."""
    create_app()()


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"medground {__version__}")
        raise typer.Exit


def _one_of(values: list[str], known: tuple[str, ...], option: str) -> tuple[str, ...]:
    chosen = tuple(dict.fromkeys(value.strip() for value in values))
    for value in chosen:
        if value not in known:
            raise UsageError(f"{option} {value!r} is none of {', '.join(known)}")
    return chosen
