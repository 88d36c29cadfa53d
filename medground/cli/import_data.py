"""`medground import`: reads a published data set, writes a columnar one, prints the account."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from medground.cli.progress import image_progress, stage
from medground.data.columnar import MANIFEST, Manifest, write_data_set
from medground.data.import_report import ImportReport, report_of
from medground.data.importers import ImportOptions, by_name, importers
from medground.data.vocabulary import load_vocabulary
from medground.schema.anatomy import Domain
from medground.schema.errors import UsageError
from medground.schema.vocabulary import Vocabulary

LISTED = 8
"""Issues of one kind that are printed; all of them are in import_report.json."""


@dataclass(frozen=True, slots=True)
class Options:
    """The command line of `medground import`, parsed; see its help for the meaning of each."""

    format: str
    source: Path
    out: Path
    name: str | None = None
    vocabulary: Path | None = None
    classes: tuple[str, ...] = ()
    exhaustive_for: tuple[str, ...] = ()
    domain: str | None = None
    images: Path | None = None
    with_images: bool = True
    link: bool = False
    near_duplicates: bool = True
    replace: bool = False


def formats_help() -> str:
    """One line for each format, for `--help`."""
    width = max(len(name) for name in importers())
    return "\n".join(f"{name:<{width}}  {importer.title}" for name, importer in importers().items())


def run_import(options: Options) -> int:
    """Read, write and print.

    Args:
        options: what was asked.

    Returns:
        Exit code 0.

    Raises:
        MedgroundError: the source cannot be read; nothing was written.
    """
    importer = by_name(options.format)
    if (options.out / MANIFEST).exists() and not options.replace:
        raise UsageError(f"--out {options.out} holds a data set already; give --replace or another folder")
    vocabulary = read_vocabulary(options.vocabulary)
    asked = ImportOptions(
        with_images=options.with_images,
        images=options.images,
        vocabulary=vocabulary,
        classes=_classes(options.classes),
        domain=_domain(options.domain),
        exhaustive_for=_known(options.exhaustive_for, vocabulary),
    )
    console = Console(stderr=True)
    with stage(console, f"reading {options.format}"):
        imported = importer(options.source, asked)
    with stage(console, "looking for images that are there twice"):
        report = report_of(imported, importer.name, seek_near_duplicates=options.near_duplicates)
    with image_progress(console) as progress:
        manifest = write_data_set(
            options.out,
            imported.records,
            name=options.name or importer.name,
            vocabulary=vocabulary,
            importer=importer.name,
            report=report.model_dump_json(indent=1),
            copy=not options.link,
            progress=progress,
        )
    print_report(report, manifest, Console())
    return 0


def read_vocabulary(path: Path | None) -> Vocabulary:
    """The vocabulary of a file, or the medical one.

    Args:
        path: JSON in the form of `Vocabulary`, or None.

    Raises:
        UsageError: the file is no vocabulary; the message says where it goes wrong.
    """
    if path is None:
        return load_vocabulary()
    try:
        return Vocabulary.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UsageError(f"--vocabulary {path} cannot be read ({error.strerror})") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"])
        raise UsageError(f"--vocabulary {path} is no vocabulary: {place or 'the file'}: {first['msg']}") from error


def print_report(report: ImportReport, manifest: Manifest, console: Console) -> None:
    """Print the account as tables: boxes by class, issues by kind, doubled images, unmapped names.

    Args:
        report: the account.
        manifest: of the data set written.
        console: writes to stdout.
    """
    console.print(
        f"{manifest.name} (version {manifest.version}): {report.images} of {report.images_published} images, "
        f"{report.boxes} of {report.boxes_published} boxes",
        highlight=False,
    )
    boxes = Table("concept", "boxes", title="boxes kept", title_justify="left")
    for concept, count in report.boxes_by_concept.items():
        boxes.add_row(escape(concept), str(count))
    console.print(boxes)
    if report.issue_counts:
        issues = Table("what", "how often", "for example", title="rejected, repaired, doubtful", title_justify="left")
        for kind, count in report.issue_counts.items():
            own = [issue for issue in report.issues if f"{issue.kind} ({issue.action})" == kind][:LISTED]
            more = f" and {count - len(own)} more" if count > len(own) else ""
            issues.add_row(
                escape(kind), str(count), escape("; ".join(f"{i.record_id}: {i.detail}" for i in own) + more)
            )
        console.print(issues)
    if report.doubles:
        crossing = sum(d.first_part != d.second_part for d in report.doubles)
        identical = sum(d.identical for d in report.doubles)
        console.print(
            f"{len(report.doubles)} pairs of images show the same ({identical} byte for byte), {crossing} of them in "
            "different parts: see import_report.json",
            highlight=False,
        )
    elif not report.near_duplicates_sought:
        console.print("near-identical images were not looked for", highlight=False)
    if report.unmapped:
        names = ", ".join(f"{name} ({count})" for name, count in report.unmapped.items())
        console.print(f"class names that no concept has: {names}; map them with --class NAME=KEY", markup=False)


def _classes(pairs: Sequence[str]) -> dict[str, str]:
    classes = {}
    for pair in pairs:
        name, found, key = pair.rpartition("=")
        if not (found and name and key):
            raise UsageError(f"--class {pair!r} is not NAME=KEY, e.g. --class 'lung nodule'=nodule")
        classes[name] = key
    return classes


def _domain(word: str | None) -> Domain | None:
    if word is None:
        return None
    known = {domain.value.replace(" ", "-"): domain for domain in Domain}
    if word not in known:
        raise UsageError(f"--domain {word!r} is none of {', '.join(known)}")
    return known[word]


def _known(keys: tuple[str, ...], vocabulary: Vocabulary) -> frozenset[str] | None:
    known = {concept.key for concept in vocabulary.concepts}
    for key in keys:
        if key not in known:
            raise UsageError(f"--exhaustive-for {key!r} is no concept of the vocabulary")
    return frozenset(keys) or None
