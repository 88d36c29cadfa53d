"""Measurements against other libraries, as ratios in one run."""
