"""Model cards: every number and sentence computed from evidence, and the same in every form."""
