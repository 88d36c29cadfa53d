"""`medground prototypes`: adds a class to a bundle from a few labelled images, and says whether it works."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from medground.cli.class_examples import MOST_CASES as MOST_OF_CLASS
from medground.cli.class_examples import (
    AddOptions,
    SelfCheck,
    cases_from,
    concept_of,
    labelled_images,
    look,
    room_for_cases,
    self_check,
)
from medground.cli.progress import image_progress, stage
from medground.inference.understand import understand
from medground.model.bundle import Bundle, read_bundle
from medground.model.bundle_write import save_bundle
from medground.model.cases import ADDED_BY_HAND, MOST_CASES, Cases
from medground.model.class_example import Seen
from medground.model.grounder import load_grounder
from medground.model.new_class import add_class, known_classes, remove_class
from medground.schema.errors import UsageError
from medground.schema.rarity import RARE_REAL_BOXES

_FEW = 2


def run_add(options: AddOptions) -> int:
    """Read the images, add the class, write the new bundle, check and print.

    Args:
        options: what was asked.

    Returns:
        Exit code 0.

    Raises:
        MedgroundError: nothing was written.
    """
    _check_absent(options.out)
    console, stderr = Console(), Console(stderr=True)
    grounder = load_grounder(options.bundle, options.device, base=options.base)
    bundle = grounder.bundle
    concept = concept_of(options, bundle.vocabulary)
    with stage(stderr, "reading the labels"):
        records = labelled_images(options, concept, bundle.vocabulary)
    with image_progress(stderr) as progress:
        seen = look(bundle, records, concept.key, progress)
    known = {one.concept.key: one for one in known_classes(bundle)}.get(concept.key)
    grown = add_class(bundle, concept, seen)
    cases = cases_from(grown, records, concept.key, seen, keep_thumbnails=options.keep_thumbnails)
    grown = replace(grown, cases=grown.cases.joined(cases))
    with image_progress(stderr) as progress:
        check = self_check(bundle, concept, records, seen, progress)
    save_bundle(grown, options.out)
    if known is not None:
        origin = "was added before" if known.added else "comes from training and keeps the words it learned"
        _say(console, f"{concept.key} {origin}; images behind its prototypes: {known.images} + {len(records)}")
    _print_added(grown, concept.key, seen, console)
    _print_cases(grown, concept.key, seen, cases, console)
    _print_check(check, bundle.scope.default_min_score, console)
    _warn(grown, concept.key, seen, stderr)
    _say(console, f"written to {options.out}")
    return 0


def run_list(folder: Path, base: str | None = None) -> int:
    """Print the classes of a bundle that have prototypes.

    Returns:
        Exit code 0.
    """
    bundle = read_bundle(folder, base=base)
    table = Table("class", "name", "origin", "images", "prototypes", "share of score")
    for known in known_classes(bundle):
        origin = "added" if known.added else "trained"
        counts = (str(known.images), str(known.prototypes), f"{known.share:.2f}")
        table.add_row(escape(known.concept.key), escape(known.concept.name), origin, *counts)
    console = Console()
    if table.row_count:
        console.print(table)
    else:
        _say(console, f"the bundle {bundle.info.name} {bundle.info.version} keeps no prototypes")
    return 0


def run_remove(folder: Path, key: str, out: Path, base: str | None = None) -> int:
    """Write a bundle without an added class, or without the cases that were added to a class from training.

    Returns:
        Exit code 0.

    Raises:
        UsageError: neither the class nor cases of it were added, or `out` is there already.
    """
    _check_absent(out)
    bundle = read_bundle(folder, base=base)
    left = remove_class(bundle, key)
    save_bundle(left, out)
    gone = len(bundle.cases.known) - len(left.cases.known)
    what = key if bundle.is_added(key) else f"{gone} added cases of {key}, which comes from training and stays,"
    _say(Console(), f"{what} removed; written to {out}")
    return 0


def _check_absent(out: Path) -> None:
    if out.exists():
        raise UsageError(f"--out {out} is there already; give a folder that is not, so that no bundle is lost")


def _print_added(bundle: Bundle, key: str, seen: Sequence[Seen], console: Console) -> None:
    known = next(known for known in known_classes(bundle) if known.concept.key == key)
    kinds = ", ".join(sorted({one.domain.value for one in seen}))
    rows = sum(len(one.embeddings_ND) for one in seen)
    _say(
        console,
        f"{key} ({known.concept.name}): {len(seen)} images ({kinds}), {sum(one.boxes for one in seen)} boxes, "
        f"{rows} locations, {known.prototypes} prototypes with {known.share:.0%} of its score",
    )


def _print_cases(bundle: Bundle, key: str, seen: Sequence[Seen], cases: Cases, console: Console) -> None:
    """How many regions were kept as cases, and why not more.

    Args:
        bundle: with the cases.
        key: of the class.
        seen: what the network made of each image.
        cases: that were kept.
        console: to print on.
    """
    pictures = "a picture of each" if cases.pictures else "no pictures"
    _say(console, f"{len(cases.known)} regions are kept as cases to show beside what is found, {pictures}")
    shown = {one.domain: bundle.may_show_cases(key, one.domain) for one in seen}
    for domain in (domain for domain, is_shown in shown.items() if not is_shown):
        _say(
            console,
            f"no region on a {domain.value} is kept: {RARE_REAL_BOXES} or more real boxes stand behind {key} there, so "
            "that it is shown without cases",
        )
    by_hand = {one.domain for one in bundle.cases.known if (one.concept, one.source) == (key, ADDED_BY_HAND)}
    if any(not shown.get(domain, True) for domain in by_hand):
        _say(console, f"cases of {key} that were added before are in the bundle; `prototypes remove` takes them out")
    wanted = min(MOST_OF_CLASS, sum(one.boxes for one in seen if shown[one.domain]))
    if room_for_cases(bundle) == 0 and len(cases.known) < wanted:
        _say(console, f"the bundle is full with {MOST_CASES} cases: {len(cases.known)} of {wanted} were kept")


def _print_check(check: SelfCheck | None, min_score: float, console: Console) -> None:
    if check is None:
        _say(console, "no self-check: it leaves one patient out at a time, and all images are of one")
        return
    _say(
        console,
        f"self-check, each patient left out once: {check.found} of {check.boxes} boxes found and {check.false} false "
        f"ones at score {min_score:g}; AP50 {check.ap50:.2f}",
    )


def _warn(bundle: Bundle, key: str, seen: Sequence[Seen], stderr: Console) -> None:
    """What a user should know before trusting the class."""
    warnings = []
    if len(seen) < _FEW:
        warnings.append("one image says little about a class: give five or more")
    elsewhere = sum(one.taken_for != one.domain for one in seen)
    if elsewhere:
        warnings.append(
            f"the bundle takes {elsewhere} of {len(seen)} images for another kind than their labels say; on such "
            "images the class is not looked for"
        )
    missed = [
        word
        for words in bundle.vocabulary[key].names.values()
        for word in words
        if key not in understand(f"find {word}", bundle.vocabulary).understood.concepts
    ]
    if missed:
        warnings.append(f"questions do not take {', '.join(missed)} for {key}: other words in it have a meaning")
    for warning in warnings:
        stderr.print(f"warning: {warning}", markup=False, highlight=False, soft_wrap=True)


def _say(console: Console, words: str) -> None:
    console.print(words, markup=False, highlight=False, soft_wrap=True)
