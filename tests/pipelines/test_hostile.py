"""Hostile files: a sample of each run through the workers, and what the job would say if one got through."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from medground.dicom.image import open_image
from pipelines.hostile import Tally, _judge, main, read_one, run
from pipelines.hostile_bases import base_files, element_heads
from pipelines.hostile_mutations import MUTATORS, File, Mutations, nest

BASES = base_files()


def test_the_bases_are_twenty_ways_of_writing_pixels() -> None:
    images = [open_image(base.content) for base in BASES]
    assert len({base.name for base in BASES}) == len(BASES) == 20
    assert len({image.header.transfer_syntax_uid for image in images}) == 13
    for image in images:
        assert image.display(image.header.frames).shape[:2] == (64, 64)
        assert np.ptp(image.stored().astype(int)) > 0
    assert [base.content for base in base_files()] == [base.content for base in BASES]


def test_heads_are_where_elements_start() -> None:
    content = next(base.content for base in BASES if base.name == "enhanced")
    heads = element_heads(content)
    tags = {content[head : head + 4] for head in heads}
    assert {b"\x28\0\x10\0", b"\x00\x52\x30\x92", b"\x20\0\x32\0", b"\xe0\x7f\x10\0"} <= tags


def test_a_mutation_follows_from_seed_and_number() -> None:
    one, other = Mutations(BASES, 5), Mutations(BASES, 5)
    assert [one[n] for n in (7, 3)] == [other[n] for n in (3, 7)][::-1]
    assert one[7].content != Mutations(BASES, 6)[7].content
    used = Counter(name for n in range(600) for name in one[n].mutators)
    assert set(used) == {mutator.__name__ for mutator in MUTATORS}
    bases = [base.content for base in BASES]
    changed = [one[n].content != bases[n % 20] for n in range(200)]
    assert sum(changed) > 190


def test_nested_sequences_of_known_length_close_where_they_say() -> None:
    empty = File(b"x" * 40, [0])
    for seed in range(40):
        content = nest(empty, random.Random(seed))[:-40]
        lengths = [int.from_bytes(content[at + 8 : at + 12], "little") for at in range(0, len(content), 20)]
        if 0xFFFFFFFF not in lengths:
            assert all(at * 20 + 12 + length == len(content) for at, length in enumerate(lengths))


def test_a_run_that_is_resumed_is_the_same_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = tmp_path / "state.json"
    run(20, 1, 2, 120.0, state, p99_seconds=120)
    first = json.loads(state.read_text())["outcomes"]
    resumed = run(40, 1, 2, 120.0, state, p99_seconds=120)
    assert resumed.done == 40
    assert resumed.outcomes == run(40, 1, 2, 120.0, None, p99_seconds=120).outcomes
    assert sum(first.values()) == 20
    # The memory is that of whatever else these tests have loaded.
    assert [failure for failure in resumed.failures if failure[1] != "memory of the parent"] == []
    assert "40/40" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="another seed"):
        run(10, 2, 2, 30.0, state)


def test_a_sample_of_the_hostile_files(repository: Path) -> None:
    """In a process of its own, whose memory is that of reading alone."""
    count = 2000 if os.environ.get("CI") == "true" else 300
    command = [sys.executable, "-W", "ignore", "-m", "pipelines", "hostile", "--mutations", str(count)]
    done = subprocess.run(
        [*command, "--seconds", "120", "--p99", "120"], cwd=repository, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    summary = json.loads(done.stdout.partition("\n{")[2].join(["{", ""]))
    assert summary["mutations"] == count == sum(summary["outcomes"].values())
    assert summary["replaced"] == summary["deaths"] + summary["timeouts"]
    assert summary["foreign"] == summary["hangs"] == summary["failures"] == 0
    assert 0.2 < summary["outcomes"]["accepted"] / count < 0.5
    assert summary["parent_peak_mib"] < 512


def test_one_of_them_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = tmp_path / "hostile.dcm"
    assert main(["--only", "749", "--seed", "0", "--keep", str(kept)]) == 0
    mutation = Mutations(BASES, 0)[749]
    assert kept.read_bytes() == mutation.content
    assert f"{mutation.base}: {', '.join(mutation.mutators)}" in capsys.readouterr().out


class _Broken:
    """A reader with a fault."""

    def open(self, _: bytes) -> None:
        raise ZeroDivisionError


def test_what_is_no_error_of_ours_is_noticed() -> None:
    outcome = read_one(_Broken(), Mutations(BASES, 0), 3)  # type: ignore[arg-type]
    assert outcome.kind == "foreign in the parent"
    assert outcome.message.startswith("ZeroDivisionError")


def test_what_must_not_be_is_a_failure() -> None:
    bad = Tally(latencies_ms=[1500.0], peak_mib=600)
    bad.counters.update(deaths=2, timeouts=1, replaced=2, foreign=1)
    _judge(bad, 1.0)
    assert [what for _, what, *_ in bad.failures] == [
        "worker not replaced",
        "exception in a worker that is none of ours",
        "p99",
        "memory of the parent",
    ]
    good = Tally(latencies_ms=[900.0], peak_mib=500)
    good.counters.update(deaths=2, timeouts=1, replaced=3)
    _judge(good, 1.0)
    assert good.failures == []


def test_the_summary_counts_what_the_tally_holds() -> None:
    tally = Tally(done=4, seconds=2.0, latencies_ms=[10.0, 20.0, 30.0, 40.0])
    tally.outcomes.update(["accepted"] * 3 + ["DecodeError"])
    tally.failures.append([3, "hang", "RLE", [], ""])
    summary = tally.summary()
    assert (summary["per_second"], summary["p50_ms"], summary["max_ms"]) == (2.0, 25.0, 40.0)
    assert summary["p99_ms"] == pytest.approx(39.7, abs=0.06)
    assert (summary["hangs"], summary["failures"]) == (1, 1)
