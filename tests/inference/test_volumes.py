from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from medground.inference.volumes import link
from medground.model.reading import Candidate


def at(x: float, score: float, side: float = 10) -> Candidate:
    return Candidate((x, 0, x + side, side), score)


def members(slices: list[list[Candidate]], **settings: float) -> list[list[int]]:
    tracks = link(slices, **settings)  # type: ignore[arg-type]  # the cases are data
    return [[member.slice_index for member in track.members] for track in tracks]


def test_empty() -> None:
    assert link([]) == []
    assert link([[], [], []]) == []


def test_a_lesion_over_neighbouring_slices_is_one_finding() -> None:
    tracks = link([[], [at(0, 0.4)], [at(1, 0.9)], [at(2, 0.6)], []])
    assert len(tracks) == 1
    assert [m.slice_index for m in tracks[0].members] == [1, 2, 3]
    assert tracks[0].best.slice_index == 2
    assert tracks[0].best.score == 0.9


def test_one_missed_slice_is_bridged_and_two_are_not() -> None:
    assert members([[at(0, 0.9)], [], [at(0, 0.8)]]) == [[0, 2]]
    assert members([[at(0, 0.9)], [], [], [at(0, 0.8)]]) == [[0], [3]]


def test_lesions_side_by_side_stay_apart() -> None:
    assert members([[at(0, 0.9), at(100, 0.5)], [at(100, 0.4), at(0, 0.8)]]) == [[0, 1], [0, 1]]
    tracks = link([[at(0, 0.9), at(100, 0.5)], [at(100, 0.4), at(0, 0.8)]])
    assert [m.candidate.box_xyxy_px[0] for m in tracks[0].members] == [0, 0]
    assert [m.candidate.box_xyxy_px[0] for m in tracks[1].members] == [100, 100]


def test_the_overlap_must_reach_the_threshold() -> None:
    # 10 wide boxes shifted by s overlap with IoU (10 - s) / (10 + s): 0.333 at 5 and 0.25 at 6.
    assert members([[at(0, 0.9)], [at(5, 0.8)]]) == [[0, 1]]
    assert members([[at(0, 0.9)], [at(6, 0.8)]]) == [[0], [1]]


def test_the_best_overlap_wins_and_each_box_is_used_once() -> None:
    tracks = link([[at(0, 0.9)], [at(3, 0.95), at(1, 0.3)]])
    assert [[m.candidate.box_xyxy_px[0] for m in track.members] for track in tracks] == [[3], [0, 1]]


@given(
    st.lists(
        st.lists(
            st.tuples(st.integers(0, 30), st.floats(0.1, 1)).map(lambda pair: at(float(pair[0]), pair[1])), max_size=4
        ),
        max_size=8,
    )
)
def test_every_candidate_is_in_exactly_one_track_with_no_long_gap(slices: list[list[Candidate]]) -> None:
    tracks = link(slices)
    got = sorted((m.slice_index, m.candidate.box_xyxy_px, m.score) for track in tracks for m in track.members)
    assert got == sorted((i, c.box_xyxy_px, c.score) for i, row in enumerate(slices) for c in row)
    for track in tracks:
        steps = [b.slice_index - a.slice_index for a, b in zip(track.members, track.members[1:], strict=False)]
        assert all(1 <= step <= 2 for step in steps)
        assert track.best.score == max(m.score for m in track.members)
    assert [t.best.score for t in tracks] == sorted((t.best.score for t in tracks), reverse=True)
