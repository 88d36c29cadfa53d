"""Vision towers: images in, feature pyramid out."""
