"""Other detectors, trained as ours is: the same images, augmentation, steps, search for a rate, and evaluator."""
