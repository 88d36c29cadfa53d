"""Floor 1: the log of who did what, in which every edit, deletion and reordering shows."""
