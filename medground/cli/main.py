"""The command line. Nothing heavy is imported here: `medground --help` answers at once."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medground import __version__
from medground.schema.errors import MedgroundError, UsageError

if TYPE_CHECKING:
    from medground.inference.reader import Reader

LoadReader = Callable[[Path | None, str], "Reader"]

FORMATS = ("json", "png", "sr", "gsps", "seg")
DEVICES = ("auto", "cpu", "cuda")


def load_reader(bundle: Path | None, device: str) -> Reader:
    """The model that ships, or the one in `bundle`: the one door from the command line to torch.

    Args:
        bundle: a bundle folder; None for the shipped one.
        device: `auto`, `cpu` or `cuda`.

    Raises:
        UsageError: the device is not there.
        BundleError: the bundle is missing or damaged.
    """
    from medground.model.grounder import load_grounder

    return load_grounder(bundle, device)


def create_app(load: LoadReader = load_reader) -> typer.Typer:
    """The command line over a way to load a model.

    Args:
        load: gives the model for `--bundle` and `--device`.
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
        format_: Annotated[
            str, typer.Option("--format", help="What to write: json, png, sr, gsps, seg, joined by commas.")
        ] = "json,png,sr",
        device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
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

            options = Options(
                inputs=tuple(inputs),
                queries=tuple(query),
                out=out,
                bundle=bundle,
                min_score=min_score,
                max_boxes=max_boxes,
                top_k=top_k,
                formats=_one_of(format_.split(","), FORMATS, "--format"),
                device=_one_of([device], DEVICES, "--device")[0],
                as_json=json_,
                debug=debug,
            )
            return run_ground(options, load)

        raise typer.Exit(exit_code_of(work, debug=debug))

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

    add_data_commands(app)
    return app


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
        """Put a data set into parts by patient and check them for leaks; training refuses data without it."""

        def work() -> int:
            from medground.cli.split_data import run_split

            return run_split(folder, salt, valid, dev)

        raise typer.Exit(exit_code_of(work, debug=debug))


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


def exit_code_of(work: Callable[[], int], *, debug: bool = False) -> int:
    """Do some work; an error becomes one sentence on stderr and its exit code.

    Args:
        work: gives an exit code.
        debug: show the traceback as well.

    Returns:
        The exit code of the work or of its error; 1 for an error that is not medground's own.
    """
    try:
        return work()
    except MedgroundError as error:
        if debug:
            traceback.print_exc()
        typer.echo(f"error: {error}", err=True)
        return error.exit_code
    except OSError as error:
        if debug:
            traceback.print_exc()
        # `strerror` is the system's own sentence; the path beside it could name a patient.
        typer.echo(f"error: a file cannot be read or written: {error.strerror or type(error).__name__}", err=True)
        return 1
    except Exception as error:
        if debug:
            traceback.print_exc()
        # The message of a foreign exception may quote the file; its class does not.
        typer.echo(f"error: unexpected {type(error).__name__}; run again with --debug for the traceback", err=True)
        return 1
