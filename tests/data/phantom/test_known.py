from __future__ import annotations

from medground.data.phantom.chest_radiograph import chest_radiograph
from medground.data.phantom.findings import DRAWABLE
from medground.data.phantom.known import NEVER_THERE, known_of
from medground.data.vocabulary import load_vocabulary
from medground.schema.anatomy import Domain


def _known(*findings: str) -> frozenset[str]:
    return known_of(chest_radiograph(1, size_px=64, findings=findings).regions)


def test_a_normal_film_is_known_free_of_all_that_can_be_drawn_and_of_what_never_is() -> None:
    assert _known() == frozenset(DRAWABLE) | NEVER_THERE
    for name in NEVER_THERE:
        assert Domain.CHEST_RADIOGRAPH in load_vocabulary()[name].domains


def test_what_a_reader_may_call_by_another_name_is_not_known_to_be_absent() -> None:
    everything = _known()
    assert everything - _known("miliary_pattern") == {"nodule", "diffuse_nodules"}
    assert everything - _known("diffuse_nodules", "nodule") == {"nodule", "miliary_pattern"}
    assert everything - _known("fracture") == {"rib_metastasis"}
    assert everything - _known("cavity") == {"cavitary_tuberculosis"}
    assert everything - _known("cavitary_tuberculosis", "cavity") == {"cavitary_tuberculosis"}
    assert _known("cavitary_tuberculosis") == everything  # its cavity and its consolidation are marked
    assert _known("mass", "fibrosis", "pneumoperitoneum") == everything
