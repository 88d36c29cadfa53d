"""`python -m pipelines pair-check`: writes question-region pairs, checks every one, and corrupts some to try the check.

The pairs come in equal shares from the chest films, FracAtlas and phantoms. Exit code 1 where a true pair is rejected,
a share of corrupted ones above 0.1% passes, or a region has fewer than ten phrasings in a language.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from medground.data.importers import by_name
from medground.data.importers.imported import ImportOptions
from medground.data.importers.nih_chestxdet import merge_double_marked
from medground.data.pairs.facts import Facts
from medground.data.pairs.write import phrasings, write_pairs
from medground.data.phantom.chest_radiograph import chest_radiograph, to_record
from medground.data.verify.check import Verifier
from medground.data.vocabulary import load_vocabulary
from medground.schema.errors import MedgroundError
from medground.schema.pair import Pair
from medground.schema.record import ImageRecord
from medground.schema.vocabulary import Vocabulary
from pipelines.pair_corruptions import Corruptor
from pipelines.sources import default_data, say

PHRASINGS = 10
CAUGHT = 0.999
_PHANTOM_SEEDS = 7_000_000
_KEPT = 12_000
_LANGUAGES: tuple[Literal["en", "zh"], ...] = ("en", "zh")


@dataclass
class Tally:
    """What came out.

    Attributes:
        pairs: written, by source.
        kinds: written, by kind of question.
        rejected: pairs the verifier rejects, each with its first fault.
        questions: distinct questions, by language.
        corrupted, caught, unread: corruptions made, rejected, and rejected because a word or sentence is not known, by
            kind.
        missed: corruptions that passed.
        fewest: fewest phrasings of a region, by source and language.
        regions: regions whose phrasings were counted, by source.
    """

    pairs: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    rejected: list[str] = field(default_factory=list)
    questions: dict[str, set[str]] = field(default_factory=lambda: {language: set() for language in _LANGUAGES})
    corrupted: Counter[str] = field(default_factory=Counter)
    caught: Counter[str] = field(default_factory=Counter)
    unread: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)
    fewest: dict[tuple[str, str], int] = field(default_factory=dict)
    regions: Counter[str] = field(default_factory=Counter)

    @property
    def is_good(self) -> bool:
        """Whether all three goals are met."""
        return (
            not self.rejected
            and self.caught.total() >= CAUGHT * self.corrupted.total()
            and min(self.fewest.values(), default=PHRASINGS) >= PHRASINGS
        )


def real_records(data: Path) -> dict[str, list[ImageRecord]]:
    """The labels of the chest films and of FracAtlas; a lesion that both sources of a film drew stands once."""
    found = {}
    for name, folder in (("nih-chestxdet", "cxr"), ("fracatlas", "fracatlas")):
        imported = by_name(name)(data / folder, ImportOptions(with_images=False))
        found[name] = [merge_double_marked(record) for record in imported.records]
    return found


def phantoms() -> Iterator[ImageRecord]:
    """Chest phantoms without end, small because only their truth is used."""
    for seed in itertools.count(_PHANTOM_SEEDS):
        image = chest_radiograph(seed, size_px=128)
        known = {"columns_toward_left": 1, "rows_toward_feet": 1, "spacing_mm": image.spacing_mm}
        yield to_record(image, record_id=f"phantom-{seed}").model_copy(update=known)


def check_pairs(
    source: str,
    records: Iterator[ImageRecord],
    count: int,
    verifier: Verifier,
    vocabulary: Vocabulary,
    rng: np.random.Generator,
    tally: Tally,
) -> Iterator[tuple[Pair, ImageRecord]]:
    """Write and check so many pairs of the records, and yield each with its record."""
    while tally.pairs[source] < count:
        record = next(records)
        for pair in write_pairs(record, vocabulary, rng)[: count - tally.pairs[source]]:
            tally.pairs[source] += 1
            tally.kinds[pair.kind.value] += 1
            tally.questions[pair.language].add(pair.question)
            faults = verifier.faults(pair, record)
            if faults:
                tally.rejected.append(f"{record.record_id}: {faults[0].kind}: {faults[0].text}")
            yield pair, record


def count_phrasings(
    source: str, records: Sequence[ImageRecord], vocabulary: Vocabulary, rng: np.random.Generator, tally: Tally
) -> None:
    """Ask for every region that nobody doubts in as many ways as are wanted, and note the fewest."""
    for record in records:
        for index in (i for i, region in enumerate(record.regions) if not region.uncertain):
            tally.regions[source] += 1
            for language in _LANGUAGES:
                asked = {pair.question for pair in phrasings(record, vocabulary, index, language, rng, PHRASINGS)}
                fewest = tally.fewest.get((source, language), PHRASINGS)
                tally.fewest[source, language] = min(fewest, len(asked))


def try_corruptions(
    kept: Sequence[tuple[Pair, ImageRecord]],
    count: int,
    verifier: Verifier,
    vocabulary: Vocabulary,
    rng: np.random.Generator,
    tally: Tally,
) -> None:
    """Make so many true pairs false, in turn in each kind of fact, and see which the verifier rejects."""
    corruptor = Corruptor(vocabulary, rng)
    order = [int(at) for at in rng.permutation(len(kept))]
    queues = {kind: iter(order) for kind in corruptor.kinds}
    while tally.corrupted.total() < count and queues:
        for kind in list(queues):
            false = None
            for at in queues[kind]:
                pair, record = kept[at]
                false = corruptor.kinds[kind](pair, Facts(record, vocabulary))
                if false is not None:
                    break
            if false is None:
                del queues[kind]
                continue
            faults = {fault.kind for fault in verifier.faults(false, record)}
            tally.corrupted[kind] += 1
            tally.caught[kind] += bool(faults)
            tally.unread[kind] += faults == {"not understood"}
            if not faults:
                said = [s.text for s in false.statements if s not in pair.statements]
                tally.missed.append(f"{record.record_id}: {kind}: {pair.question!r} to {false.question!r} {said}")
            if tally.corrupted.total() == count:
                return


def run(
    sources: dict[str, list[ImageRecord]], pairs: int, corruptions: int, seed: int
) -> tuple[Tally, list[tuple[Pair, ImageRecord]]]:
    """Everything: pairs, phrasings, corruptions.

    Args:
        sources: real records by the name of their source; phantoms are added.
        pairs: how many pairs to write.
        corruptions: how many of them to make false.
        seed: of all chance.

    Returns:
        The tally, and a random part of the pairs with their records.
    """
    vocabulary, tally, rng = load_vocabulary(), Tally(), np.random.default_rng(seed)
    verifier = Verifier(vocabulary)
    kept: list[tuple[Pair, ImageRecord]] = []
    streams: dict[str, Iterator[ImageRecord]] = {name: itertools.cycle(found) for name, found in sources.items()}
    streams["phantom"] = phantoms()
    share, rest = divmod(pairs, len(streams))
    for source, stream in streams.items():
        count = share + (rest if source == "phantom" else 0)
        seen: dict[str, ImageRecord] = {}
        for pair, record in check_pairs(source, stream, count, verifier, vocabulary, rng, tally):
            seen.setdefault(record.record_id, record)
            if rng.random() < _KEPT / pairs:
                kept.append((pair, record))
        count_phrasings(source, list(seen.values()), vocabulary, rng, tally)
        say(f"{source}: {tally.pairs[source]} pairs of {len(seen)} images")
    try_corruptions(kept, corruptions, verifier, vocabulary, rng, tally)
    return tally, [kept[int(at)] for at in rng.permutation(len(kept))]


def table(tally: Tally) -> str:
    """The figures as Markdown."""
    total, caught = tally.corrupted.total(), tally.caught.total()
    share = f" ({caught / total:.2%})" if total else ""
    distinct = ", ".join(f"{len(texts)} {language}" for language, texts in tally.questions.items())
    lines = [f"Pairs: {tally.pairs.total()}, rejected by the verifier: {len(tally.rejected)}; distinct: {distinct}."]
    lines += [f"Corrupted: {total}, rejected: {caught}{share}.", "", "| source | pairs | regions | fewest phrasings |"]
    lines += ["|---|---|---|---|"]
    for source, count in tally.pairs.items():
        fewest = ", ".join(f"{tally.fewest.get((source, language), 0)} {language}" for language in _LANGUAGES)
        lines.append(f"| {source} | {count} | {tally.regions[source]} | {fewest} |")
    lines += ["", "| kind of question | pairs |", "|---|---|"]
    lines += [f"| {kind} | {count} |" for kind, count in sorted(tally.kinds.items())]
    lines += ["", "| corrupted | made | rejected | of these, not understood |", "|---|---|---|---|"]
    lines += [f"| {kind} | {n} | {tally.caught[kind]} | {tally.unread[kind]} |" for kind, n in tally.corrupted.items()]
    return "\n".join(lines)


def sample_text(kept: Sequence[tuple[Pair, ImageRecord]], count: int) -> str:
    """So many pairs to read, as Markdown."""
    lines = ["| image | kind | question | found | described |", "|---|---|---|---|---|"]
    for pair, record in kept[:count]:
        first = [s.text for s in pair.statements if s.region == pair.targets[0]] if pair.targets else []
        described = ("" if pair.language == "zh" else " ").join(first)
        lines.append(
            f"| {record.dataset} | {pair.kind.value} | {pair.question} | {len(pair.targets) or 'none'} | {described} |"
        )
    return "\n".join(lines)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parse = argparse.ArgumentParser(prog="python -m pipelines pair-check", description=__doc__)
    parse.add_argument("--pairs", type=int, default=50_000, help="pairs to write (default: 50,000)")
    parse.add_argument("--corruptions", type=int, default=5_000, help="pairs to make false (default: 5,000)")
    parse.add_argument("--seed", type=int, default=0)
    parse.add_argument("--data", type=Path, default=default_data(), help="folder of the real data sets")
    parse.add_argument("--sample", type=int, default=40, help="pairs to print (default: 40)")
    parse.add_argument("--write", type=Path, metavar="MD", help="page to write the figures to")
    return parse


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; see `parser`. Exit code 1 if a goal is missed."""
    args = parser().parse_args(argv)
    try:
        tally, kept = run(real_records(args.data), args.pairs, args.corruptions, args.seed)
    except MedgroundError as error:
        say(f"error: {error}")
        return error.exit_code
    figures, sample = table(tally), sample_text(kept, args.sample)
    print(*(f"rejected: {text}" for text in tally.rejected[:20]), sep="\n")
    print(*(f"passed though false: {text}" for text in tally.missed[:20]), sep="\n")
    print(figures, sample, sep="\n\n")
    if args.write:
        command = f"python -m pipelines pair-check --pairs {args.pairs} --corruptions {args.corruptions}"
        page = f"# Question-region pairs, checked\n\n`{command} --seed {args.seed}`\n\n{figures}\n\n{sample}\n"
        args.write.parent.mkdir(parents=True, exist_ok=True)
        args.write.write_text(page, encoding="utf-8")
    return int(not tally.is_good)


if __name__ == "__main__":
    sys.exit(main())
