"""Edits an exported card and an audit log in thousands of ways, and counts what the checks do not find.

::

    python -m pipelines card-tamper DIR --edits 2000 --log-edits 200 --untouched 200 --seed 0

DIR itself is not touched: everything is done to a copy. A single-byte edit counts as found only if a finding names its
file. Exit code 1 if anything was missed, or anything untouched was refused.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import create_engine

from medground.audit.anchor import AnchorFile
from medground.audit.verify import verify as verify_log
from medground.cards.keys import PublicKey, trusted_keys
from medground.cards.verify import Verification, verify
from medground.schema.errors import CardError, UsageError
from pipelines.card_edits import FORGERIES, Forger, byte_edits
from pipelines.log_edits import DAMAGES, make_log, tamper

SHOWN = 20


@dataclass
class Tally:
    """What was tried, and with what success.

    Attributes:
        tried: by what was done.
        right: of these, found; for untouched copies, let through.
        missed: the others, in words.
        milliseconds: of each check of a card.
    """

    tried: dict[str, int] = field(default_factory=dict)
    right: dict[str, int] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)

    def count(self, what: str, words: str, *, is_right: bool) -> None:
        """Count one try."""
        self.tried[what] = self.tried.get(what, 0) + 1
        self.right[what] = self.right.get(what, 0) + is_right
        if not is_right:
            self.missed.append(f"{what}: {words}")

    def check(self, directory: Path, trusted: Sequence[PublicKey]) -> Verification:
        """Check a card and note the time that it took."""
        start = time.perf_counter()
        found = verify(directory, trusted)
        self.milliseconds.append(1e3 * (time.perf_counter() - start))
        return found

    def table(self) -> str:
        """What is printed."""
        width = max(map(len, self.tried), default=0)
        lines = [f"{'what was done':<{width}}  tried  right"]
        lines += [f"{what:<{width}}  {tried:>5}  {self.right[what]:>5}" for what, tried in self.tried.items()]
        if self.milliseconds:
            median, most = statistics.median(self.milliseconds), max(self.milliseconds)
            lines.append(f"a check of the card: median {median:.1f} ms, longest {most:.1f} ms")
        return "\n".join(lines)


def edit_bytes(card: Path, trusted: Sequence[PublicKey], count: int, chance: random.Random, tally: Tally) -> None:
    """Single-byte edits of a card that is put back after each."""
    for edit in byte_edits(card, count, chance):
        with edit.applied(card):
            found = tally.check(card, trusted)
        is_right = any(finding.file == edit.path for finding in found.findings)
        tally.count("one byte of the card", str(edit), is_right=is_right)


def copy_untouched(card: Path, trusted: Sequence[PublicKey], count: int, work: Path, tally: Tally) -> None:
    """Copies that must verify."""
    for _ in range(count):
        copy = Path(shutil.copytree(card, work / "untouched"))
        found = tally.check(copy, trusted)
        tally.count("untouched copy", "; ".join(map(str, found.findings)), is_right=found.is_whole)
        shutil.rmtree(copy)


def forge(card: Path, trusted: Sequence[PublicKey], signer: PublicKey, work: Path, tally: Tally) -> None:
    """Edit a number and hide it, in every way that needs no trusted key."""
    for how, wanted in FORGERIES.items():
        copy = Path(shutil.copytree(card, work / "forged"))
        Forger(work, signer.fingerprint).forge(copy, how)
        found = tally.check(copy, trusted)
        is_right = wanted in {(finding.file, finding.kind) for finding in found.findings}
        tally.count(f"number edited, {how}", "; ".join(map(str, found.findings)), is_right=is_right)
        shutil.rmtree(copy)


def edit_log(count: int, work: Path, chance: random.Random, tally: Tally) -> None:
    """Damages to a generated log, with its anchors kept elsewhere."""
    source, copy, anchors = work / "log.db", work / "damaged.db", work / "anchors"
    make_log(source, anchors)
    kept = AnchorFile(anchors).read()

    def is_broken(path: Path) -> bool:
        engine = create_engine(f"sqlite:///{path}")
        try:
            return verify_log(engine, kept).broken is not None
        finally:
            engine.dispose()

    tally.count("untouched log", "it is refused", is_right=not is_broken(source))
    for number in range(count):
        how = list(DAMAGES)[number % len(DAMAGES)]
        words = tamper(source, copy, how, chance)
        tally.count(f"log: {how}", words, is_right=is_broken(copy))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m pipelines card-tamper", description=(__doc__ or "").split("\n")[0])
    made.add_argument("directory", type=Path, metavar="DIR", help="what `medground card export` wrote")
    made.add_argument("--edits", type=int, default=2000, help="single-byte edits of the card")
    made.add_argument("--log-edits", type=int, default=200, help="edits, deletions, swaps and cuts of a log")
    made.add_argument("--untouched", type=int, default=200, help="copies that must verify")
    made.add_argument("--seed", type=int, default=0, help="of what is random")
    made.add_argument("--trust", type=Path, action="append", default=[], help="public key, as for the command")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the campaign.

    Args:
        argv: the command line; the process's own if None.

    Returns:
        0; 1 if anything was missed or refused wrongly.
    """
    options = parser().parse_args(argv)
    if not options.directory.is_dir():
        raise UsageError(f"no directory is at {options.directory}: name an exported card")
    trusted = trusted_keys(options.trust, os.environ)
    chance, tally = random.Random(options.seed), Tally()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        card = Path(shutil.copytree(options.directory, work / "card", symlinks=True))
        before = verify(card, trusted)
        if before.signer is None or not before.is_whole:
            raise CardError(f"the card in {options.directory} does not verify as it is: {before.findings[0]}")
        edit_bytes(card, trusted, options.edits, chance, tally)
        copy_untouched(card, trusted, options.untouched, work, tally)
        forge(card, trusted, before.signer, work, tally)
        edit_log(options.log_edits, work, chance, tally)
    print(tally.table())
    for words in tally.missed[:SHOWN]:
        print(f"MISSED {words}")
    print(f"{before.files} files, {before.size_bytes / 1e6:.1f} MB, seed {options.seed}: {len(tally.missed)} missed")
    return 1 if tally.missed else 0
