"""Floor 2: importers, the phantom, the vocabulary, splits and data sets."""
