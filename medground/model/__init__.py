"""Floor 2: the grounding model, from pixels and a phrase to boxes, scores and words."""
