"""A signed card that tests copy before they edit it."""

from __future__ import annotations

import pytest

from tests.cards.small_card import SmallCard, small_card


@pytest.fixture(scope="session")
def card(tmp_path_factory: pytest.TempPathFactory) -> SmallCard:
    return small_card(tmp_path_factory.mktemp("small-card"))
