"""When a finding is called rare."""

from __future__ import annotations

RARE_REAL_BOXES = 50
"""A finding with fewer real boxes in training is rare."""
