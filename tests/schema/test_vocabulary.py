from __future__ import annotations

import pytest
from pydantic import ValidationError

from medground.schema.vocabulary import Code, Concept, Vocabulary


def concept(key: str, *names: str, **more) -> Concept:
    return Concept(key=key, code=Code(scheme="99TEST", value=key, meaning=key), names={"en": names or (key,)}, **more)


def test_descendants_reach_all_the_way_down():
    words = Vocabulary(concepts=(concept("a"), concept("b", parent="a"), concept("c", parent="b"), concept("d")))
    assert words.descendants("a") == {"a", "b", "c"}
    assert words.descendants("d") == {"d"}
    assert words["c"].name == "c"
    with pytest.raises(KeyError):
        words["x"]


@pytest.mark.parametrize(
    ("concepts", "message"),
    [
        ((concept("a"), concept("a", "other")), "unique"),
        ((concept("a", parent="nobody"),), "nobody"),
        ((concept("a", confusable_with=("ghost",)),), "ghost"),
        ((concept("a", "Mass"), concept("b", "mass")), "names both"),
        ((Concept(key="a", code=Code(scheme="x", value="x", meaning="x"), names={"zh": ("甲",)}),), "English"),
    ],
)
def test_what_does_not_fit_together_is_refused(concepts, message):
    with pytest.raises(ValidationError, match=message):
        Vocabulary(concepts=concepts)
