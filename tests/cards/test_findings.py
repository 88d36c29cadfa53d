"""What a finding says can be shown and encoded, whatever somebody called a file."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from medground.cards.findings import Finding, Kind, printable


@given(st.text(st.characters(), max_size=20))
def test_every_text_can_be_shown_and_encoded(text: str) -> None:
    finding = Finding(text, Kind.ADDED, text)
    assert finding.file == finding.words == printable(text)
    assert finding.file.isprintable()
    finding.file.encode()
    assert printable(finding.file) == finding.file


def test_what_can_be_shown_is_left_as_it_is() -> None:
    assert printable("evidence/pictures/Röntgen 胸片.png") == "evidence/pictures/Röntgen 胸片.png"
    assert printable("a\x1b[31m\x9b\udcff\n") == "a\\x1b[31m\\x9b\\udcff\\n"
