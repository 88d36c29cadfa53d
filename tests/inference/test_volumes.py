from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from medground.inference.volumes import Stack, beside, link
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


def stack(places: list[float], pixel_mm: float = 1.0) -> Stack:
    return Stack(tuple(places), pixel_mm)


def test_slices_beside_are_those_three_millimetres_away() -> None:
    assert beside(None, 3) == [(None, 1), (0, 2), (1, None)]
    assert beside(None, 1) == [(None, None)]
    thick = [0.0, 5, 10, 30]
    assert beside(thick, 4) == [(None, 1), (0, 2), (1, None), (None, None)]
    thin = [float(n) for n in range(10)]
    assert beside(thin, 10)[5] == (2, 8)
    assert beside(thin, 10)[1] == (0, 4)
    assert beside(thin, 10)[9] == (6, None)


@given(st.lists(st.floats(0.2, 12), min_size=1, max_size=40))
def test_slices_beside_never_fall_and_never_lie_too_far(steps: list[float]) -> None:
    places = [sum(steps[:n]) for n in range(len(steps) + 1)]
    pairs = beside(places, len(places))
    for side in (0, 1):
        known = [pair[side] for pair in pairs if pair[side] is not None]
        assert known == sorted(known)  # type: ignore[type-var]  # None was left out
    for at, (below, above) in enumerate(pairs):
        assert below is None or (below < at and places[at] - places[below] <= 8)
        assert above is None or (above > at and places[above] - places[at] <= 8)


def test_what_is_narrower_than_the_step_between_slices_is_two_findings() -> None:
    places = [0.0, 4, 8, 19]  # a slice is missing
    slices = [[], [], [at(0, 0.9)], [at(0, 0.8)]]  # 10 pixels wide
    assert len(link(slices, stack(places))) == 2
    assert len(link(slices, stack(places, pixel_mm=1.2))) == 1
    assert len(link(slices)) == 1
    thick = [[at(0, 0.9, side=4)], [at(0, 0.8, side=4)]]  # narrower than the step, on neighbours of an even stack
    assert len(link(thick, stack([0, 10]))) == 1


def test_thin_slices_bridge_three_millimetres_and_thick_ones_one_slice() -> None:
    missed = [[at(0, 0.9)], [], [], [], [at(0, 0.8)]]
    assert len(link(missed, stack([0, 1, 2, 3, 4]))) == 1
    assert len(link(missed, stack([0, 1.2, 2.4, 3.6, 4.8]))) == 2
    assert len(link([[at(0, 0.9)], [], [at(0, 0.8)]], stack([0, 5, 10]))) == 1
    assert len(link([[at(0, 0.9)], [], [], [at(0, 0.8)]], stack([0, 2.5, 5, 7.5]))) == 2


def test_an_uneven_stack_is_cut_where_slices_are_missing() -> None:
    places = [0.0, 2, 4, 40, 42]
    tracks = link([[at(0, 0.9)] for _ in places], stack(places))
    assert sorted([m.slice_index for m in track.members] for track in tracks) == [[0, 1, 2], [3, 4]]
