"""`python -m pipelines card-evidence`: collects what the card of a bundle is computed from.

Scenes come from `python -m pipelines evaluate`; patients and images of real data get pseudonyms whose key is thrown
away. Order, sizes and boxes stay as they are: whoever has the films can tell by those which is which. Where the real
data sets lie in --data, their parts are counted and checked for leaks anew.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import medground
from medground.cards.collect import collect, stated_data, write_evidence
from medground.cards.contents import DataFacts, LeakCheck, PartCount
from medground.cards.environment import code_of, environment
from medground.cards.stated import read_stated, stated_from
from medground.evaluation.scene import ENDING
from medground.model.bundle_facts import read_facts, shipped_bundle_path
from medground.schema.errors import MedgroundError, UsageError
from medground.schema.record import ImageRecord
from pipelines.sources import BLOOD, CHEST, LIMB, Parts, default_data, load_sources, say

HOW = (
    "Each image of the parts was compared with every other of its data set by patient, where the source names "
    "patients, by file and by picture; copies of a measured image were taken out of training. Films without labels, "
    "where training had some, were not among them: those of measured patients were left out by the patient's number "
    "alone."
)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parse = argparse.ArgumentParser(prog="python -m pipelines card-evidence", description=__doc__)
    parse.add_argument("--bundle", type=Path, help="bundle folder (default: the shipped one)")
    parse.add_argument("--scenes", type=Path, default=Path("out/evaluation"), help="folder that evaluate wrote")
    parse.add_argument("--out", type=Path, required=True, help="new folder for the evidence")
    parse.add_argument("--stated", type=Path, help="YAML with what the makers say (default: of the shipped model)")
    parse.add_argument("--data", type=Path, default=default_data(), help="folder of the real data sets")
    parse.add_argument("--no-data", action="store_true", help="count no data set and check none for leaks")
    return parse


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; see `parser`."""
    args = parser().parse_args(argv)
    bundle = args.bundle or shipped_bundle_path()
    try:
        read_facts(bundle)  # before anything that takes time
        scenes = {path.name.removesuffix(ENDING): path for path in sorted(args.scenes.glob(f"*{ENDING}"))}
        if not scenes:
            raise UsageError(f"{args.scenes} has no {ENDING}; make some by python -m pipelines evaluate")
        stated = stated_from(args.stated)
        cards = stated_data(read_stated(stated), _summary(bundle))
        if not args.no_data and args.data.is_dir():
            cards = counted(cards, args.data)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        evidence = collect(
            bundle,
            scenes,
            stated=stated,
            environment=environment(),
            code=code_of(Path(__file__).parent, medground.__version__, now),
            data_cards=cards,
        )
        write_evidence(evidence, args.out)
        size = sum(map(len, evidence.files.values()))
        say(f"{args.out}: {len(evidence.files)} files, {size / 1e6:.1f} MB; scenes {', '.join(scenes)}")
    except MedgroundError as error:
        say(f"error: {error}")
        return error.exit_code
    return 0


def counted(cards: Sequence[DataFacts], data: Path) -> list[DataFacts]:
    """The cards with patients, boxes and the leak check of the data sets that are there.

    Args:
        cards: as stated.
        data: folder of the data sets.

    Raises:
        LeakError: parts share a patient, a file or a film.
    """
    sources = load_sources(data)
    parts = {CHEST: sources.chest, LIMB: sources.limb, BLOOD: sources.blood}
    return [_counted(card, parts[card.key]) if any(parts.get(card.key, {}).values()) else card for card in cards]


def _counted(card: DataFacts, parts: Parts) -> DataFacts:
    now = {part: _part(records) for part, records in parts.items()}
    trained = {part: count.images for part, count in card.parts.items()}
    if trained and trained != {part: count.images for part, count in now.items()}:
        say(f"{card.key}: parts have other sizes than in training; its own are kept, and no leak check is stated")
        return card
    images = sum(count.images for count in now.values())
    check = LeakCheck(images=images, leaks=0, words=HOW)  # `load_sources` has raised if there are any
    return card.model_copy(update={"parts": now, "leak_check": check})


def _part(records: Sequence[ImageRecord]) -> PartCount:
    unnamed = any(record.patient_id == record.record_id for record in records)  # its source names no patients
    boxes = Counter(region.concept for record in records for region in record.regions)
    return PartCount(
        images=len(records),
        patients=None if unnamed else len({record.patient_id for record in records}),
        boxes=boxes.total(),
        by_finding=dict(sorted(boxes.items())),
    )


def _summary(bundle: Path) -> Mapping[str, object]:
    found: Mapping[str, object] = json.loads((bundle / "training_summary.json").read_bytes())
    return found


if __name__ == "__main__":
    sys.exit(main())
