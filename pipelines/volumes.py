"""`python -m pipelines volumes`: a CT and a question in, findings in three dimensions out.

Phantom CTs with nodules of known size are written as DICOM and asked for nodules, as a user would. Told are the
sensitivity at one false finding a scan (a finding counts whose middle lies within a nodule's radius of its middle,
as in LUNA16), how far the extents are off in mm, and time and memory, also as the number of slices grows.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from medground.data.phantom.chest_ct import nodule_ct
from medground.data.phantom.ct_volume import PhantomVolume, VolumeRegion
from medground.data.phantom.dicom_study import write_ct_study
from medground.inference.gather import gather
from medground.inference.ground import ground
from medground.inference.reader import Reader
from medground.inference.request import Request
from medground.model.bundle import read_bundle
from medground.model.grounder import Grounder
from medground.schema.errors import MedgroundError
from pipelines.sources import say

SEEDS = 9_000_000
QUESTIONS = ("find the lung nodules", "有肺结节吗")
LEAST_SCORE = 0.01
RESAMPLES = 1000
BoxMm = tuple[float, float, float, float, float, float]


@dataclass(frozen=True, slots=True)
class Found:
    """A finding: its score, and the number of the nodule whose middle it has; -1 where there is none.

    `off_mm` is the mean distance of its six faces from those of the nodule.
    """

    score: float
    nodule: int
    off_mm: float | None = None


@dataclass(frozen=True, slots=True)
class Scan:
    """One CT and what came of it."""

    seed: int
    slices: int
    nodules: int
    found: tuple[Found, ...]
    seconds: float


def box_mm(region: VolumeRegion, volume: PhantomVolume) -> BoxMm:
    """Where a nodule lies in the patient, by the phantom's own arithmetic: x1, y1, z1, x2, y2, z2 in LPS."""
    step, row_mm, column_mm = volume.spacing_mm
    rows, columns = volume.hu.shape[1:]
    slices, across_rows, across_columns = region.extent
    low = (across_columns.start - columns / 2, across_rows.start - rows / 2, slices.start - 0.5)
    high = (across_columns.stop - columns / 2, across_rows.stop - rows / 2, slices.stop - 0.5)
    mm = (column_mm, row_mm, step)
    x1, y1, z1, x2, y2, z2 = (edge * size for ends in (low, high) for edge, size in zip(ends, mm, strict=True))
    return x1, y1, z1, x2, y2, z2


def matched(box: BoxMm, score: float, truths: Sequence[BoxMm]) -> Found:
    """A finding and the nodule that holds its middle: the nearest whose radius reaches it."""
    if not truths:
        return Found(score, -1)
    ends_T6, box_6 = np.array(truths), np.array(box)
    apart_T = np.linalg.norm((ends_T6[:, :3] + ends_T6[:, 3:]) / 2 - (box_6[:3] + box_6[3:]) / 2, axis=1)
    radius_T = (ends_T6[:, 3:] - ends_T6[:, :3]).max(1) / 2
    nearest = int((apart_T / radius_T).argmin())
    if apart_T[nearest] > radius_T[nearest]:
        return Found(score, -1)
    return Found(score, nearest, float(np.abs(ends_T6[nearest] - box_6).mean()))


def make(seed: int, slices: int, study: Path) -> list[BoxMm]:
    """Writes a CT; returns where its nodules lie."""
    volume = nodule_ct(seed, slices=slices)
    write_ct_study(volume, study)
    return [box_mm(region, volume) for region in volume.regions3d]


def open_reader(bundle: Path | None) -> Grounder:
    """The bundle, but for its threshold: a CT on which nothing is found says all the same where it might be."""
    read = read_bundle(bundle)
    return Grounder(replace(read, scope=read.scope.model_copy(update={"not_found_threshold": LEAST_SCORE})))


def scan(seed: int, slices: int, reader: Reader, folder: Path) -> Scan:
    """Makes a CT, asks for its nodules, and scores what is found."""
    study = folder / str(seed)
    # Its memory is not that of the reader, and it has no use for threads that a fork leaves behind.
    with ProcessPoolExecutor(1, initializer=torch.set_num_threads, initargs=(1,)) as maker:
        truths = maker.submit(make, seed, slices, study).result()
    start = time.perf_counter()
    request = Request((QUESTIONS[seed % 2],), min_score=LEAST_SCORE, top_k=0)
    (answered,) = ground(gather([study]), request, reader).result.studies
    seconds = time.perf_counter() - start
    for path in study.iterdir():
        path.unlink()
    findings = [finding for finding in answered.answers[0].findings if finding.extent]
    found = [matched(finding.extent.box_lps_mm, finding.score, truths) for finding in findings if finding.extent]
    return Scan(seed, slices, len(truths), tuple(found), seconds)


def sensitivity(scans: Sequence[Scan], false_a_scan: float, weights: NDArray[np.int64] | None = None) -> float:
    """Share of the nodules found at the lowest score with at most so many false findings a scan.

    Args:
        scans: what came of each CT.
        false_a_scan: how many are allowed.
        weights: how often each scan counts; once if None.

    Source: Setio et al., LUNA16, 2017: findings on a nodule that was found before count neither way.
    """
    count = np.ones(len(scans), dtype=np.int64) if weights is None else weights
    rows = sorted(
        ((f.score, number, f.nodule) for number, one in enumerate(scans) for f in one.found), key=lambda row: -row[0]
    )
    nodules = sum(int(n) * one.nodules for n, one in zip(count, scans, strict=True))
    hit: set[tuple[int, int]] = set()
    false, found, best, at = 0, 0, 0, 0
    while at < len(rows):
        score = rows[at][0]
        while at < len(rows) and rows[at][0] == score:
            _, number, nodule = rows[at]
            if nodule < 0:
                false += int(count[number])
            elif (number, nodule) not in hit:
                hit.add((number, nodule))
                found += int(count[number])
            at += 1
        if false <= false_a_scan * count.sum():
            best = found
    return best / nodules if nodules else float("nan")


def interval(scans: Sequence[Scan], false_a_scan: float) -> tuple[float, float]:
    """95% bootstrap limits of the sensitivity over scans."""
    rng = np.random.default_rng(0)
    draws = rng.multinomial(len(scans), np.full(len(scans), 1 / len(scans)), size=RESAMPLES)
    values = [sensitivity(scans, false_a_scan, weights) for weights in draws]
    low, high = np.nanquantile(values, [0.025, 0.975])
    return float(low), float(high)


def off_mm(scans: Sequence[Scan]) -> list[float]:
    """How far the best finding of each nodule that was found is off, mm."""
    best: dict[tuple[int, int], Found] = {}
    for number, one in enumerate(scans):
        for found in one.found:
            key = (number, found.nodule)
            if found.nodule >= 0 and (key not in best or found.score > best[key].score):
                best[key] = found
    return [found.off_mm for found in best.values() if found.off_mm is not None]


def table(scans: Sequence[Scan], system: str) -> str:
    """The figures as Markdown."""
    nodules = sum(one.nodules for one in scans)
    lines = [
        f"## {len(scans)} phantom CTs of {scans[0].slices} slices, {nodules} nodules, read by {system}",
        "",
        "| false findings a scan | sensitivity [95% over scans] |",
        "|--:|---|",
    ]
    for allowed in (0.25, 0.5, 1, 2, 4):
        low, high = interval(scans, allowed)
        lines.append(f"| {allowed:g} | {sensitivity(scans, allowed):.3f} [{low:.3f}, {high:.3f}] |")
    off = off_mm(scans)
    seconds = [one.seconds for one in scans]
    if off:
        lines += [
            "",
            f"Faces of the extents are off by {np.mean(off):.1f} mm (median {np.median(off):.1f}, n {len(off)}).",
        ]
    lines += ["", f"{np.median(seconds):.1f} s a scan, {1000 * np.median(seconds) / scans[0].slices:.0f} ms a slice."]
    return "\n".join(lines) + "\n"


def growth(sizes: Sequence[int], args: argparse.Namespace) -> str:
    """Time and peak memory of one CT of each size, each in a process of its own."""
    lines = ["| slices | s | ms a slice | peak MiB |", "|--:|--:|--:|--:|"]
    for slices in sizes:
        command = [sys.executable, "-m", "pipelines", "volumes", "--alone", "--slices", str(slices), "--count", "1"]
        command += ["--threads", str(args.threads), "--out", str(args.out)]
        command += ["--bundle", str(args.bundle)] if args.bundle else []
        told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        say(f"{slices} slices: {told['seconds']:.1f} s, {told['peak_mib']:.0f} MiB")
        each = 1000 * told["seconds"] / slices
        lines.append(f"| {slices} | {told['seconds']:.1f} | {each:.0f} | {told['peak_mib']:.0f} |")
    return "\n".join(lines) + "\n"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parse = argparse.ArgumentParser(
        prog="python -m pipelines volumes", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parse.add_argument("--count", type=int, default=40, help="CTs (default: 40)")
    parse.add_argument("--slices", type=int, default=300, help="slices of each (default: 300)")
    parse.add_argument("--grow", default="100,300,1000", help="numbers of slices to tell time and memory of, by commas")
    parse.add_argument("--alone", action="store_true", help="print time and memory of the CTs as JSON, and only that")
    parse.add_argument("--bundle", type=Path, help="bundle folder (default: the shipped one)")
    parse.add_argument("--out", type=Path, default=Path("out/volumes"), help="folder of the tables")
    parse.add_argument("--threads", type=int, default=2, help="CPU threads (default: 2)")
    return parse


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; see `parser`."""
    args = parser().parse_args(argv)
    torch.set_num_threads(args.threads)
    try:
        reader = open_reader(args.bundle)
        scans = []
        with tempfile.TemporaryDirectory() as folder:
            for number in range(args.count):
                scans.append(scan(SEEDS + number, args.slices, reader, Path(folder)))
                if (number + 1) % 5 == 0:
                    say(f"{number + 1} of {args.count} CTs")
    except MedgroundError as error:
        say(f"error: {error}")
        return error.exit_code
    if args.alone:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"seconds": float(np.median([one.seconds for one in scans])), "peak_mib": peak}))
        return 0
    system = f"{reader.info.name} {reader.info.version} ({reader.info.sha256[:12]})"
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "scans.json").write_text(json.dumps([asdict(one) for one in scans], indent=1) + "\n", encoding="utf-8")
    sizes = [int(size) for size in args.grow.split(",") if size]
    text = table(scans, system) + ("\n" + growth(sizes, args) if sizes else "")
    (args.out / "volumes.md").write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
