from __future__ import annotations

import numpy as np

from medground.data.strangers import stranger


def test_in_range_repeatable_and_varied():
    pictures = [stranger(seed) for seed in range(30)]
    for picture in pictures:
        assert picture.shape == (256, 256)
        assert picture.dtype == np.float32
        assert picture.min() == 0.0
        assert picture.max() == 1.0
    assert np.array_equal(stranger(7), pictures[7])
    correlation = np.corrcoef([p.ravel() for p in pictures])
    assert np.abs(correlation[np.triu_indices(30, 1)]).mean() < 0.3
