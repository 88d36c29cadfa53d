"""`python -m apps.demo --out out/demo`: writes a phantom chest film and runs `medground ground` on it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import count
from pathlib import Path
from typing import Annotated

import typer

from medground.cli.exit_code import exit_code_of
from medground.cli.ground import Options, run_ground
from medground.cli.main import LoadReader, load_reader
from medground.data.phantom.chest_radiograph import PhantomImage, chest_radiograph
from medground.data.phantom.dicom_study import write_radiograph_study
from medground.schema.anatomy import Side

# Training seeds lie below 1,000,000 and development seeds from 2,000,000 on: the model has not seen this patient.
FIRST_SEED = 9_000_000
SIZE_PX = 1024
FINDINGS = ("nodule", "pleural_effusion")
QUESTIONS = ("find the lung nodule", "is there a pneumothorax?", "right pleural effusion", "左肺有结节吗")


SERVICE = "medground serve   (README.md, section The service)"


@cache
def phantom() -> PhantomImage:
    """The patient of the demo: the first of `patients`."""
    return next(patients())


def patients() -> Iterator[PhantomImage]:
    """Patients with a nodule in the left lung, an effusion on the right, and no pneumothorax.

    The seeds that draw them on these sides, with a nodule that its recipe does not call faint.
    """
    drawn = (chest_radiograph(seed, size_px=SIZE_PX, findings=FINDINGS) for seed in count(FIRST_SEED))
    return filter(_fits, drawn)


def _fits(image: PhantomImage) -> bool:
    nodule, effusion = image.regions
    return (nodule.side, effusion.side) == (Side.LEFT, Side.RIGHT) and "faint" not in nodule.appearance


def run_demo(out: Path, load: LoadReader = load_reader, *, bundle: Path | None = None) -> int:
    """Write the study below `out/study`, ask the questions, leave the results in `out`.

    Args:
        out: folder, made if absent.
        load: gives the model.
        bundle: model bundle; the shipped one where None.

    Returns:
        The exit code of `medground ground`.
    """
    image = phantom()
    files = write_radiograph_study(image, out / "study")
    typer.echo(f"wrote a synthetic study to {out / 'study'}; drawn into it: {_truth(image)}")
    code = run_ground(Options(inputs=tuple(files), queries=QUESTIONS, out=out, bundle=bundle), load)
    typer.echo(f"pictures: {out / 'overlays'}   report: {out / 'sr' / '1.dcm'}   result: {out / 'results.json'}")
    typer.echo(f"to ask over HTTP, start the service: {SERVICE}")
    return code


def _truth(image: PhantomImage) -> str:
    """What a reader should find, for comparison with the answers."""
    named = [(region.concept.replace("_", " "), region.side) for region in image.regions]
    return ", ".join(f"{name} ({side.value})" if side else name for name, side in named)


def main(
    out: Annotated[Path, typer.Option(help="Folder for the study and the results.")] = Path("out/demo"),
    bundle: Annotated[Path | None, typer.Option(help="Model bundle folder; the shipped one if left out.")] = None,
) -> None:
    """Show what medground does on a synthetic chest film."""
    raise typer.Exit(exit_code_of(lambda: run_demo(out, bundle=bundle)))


if __name__ == "__main__":
    typer.run(main)
