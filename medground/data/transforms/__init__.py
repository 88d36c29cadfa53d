"""Random views of an image with its boxes, as MONAI dictionary transforms: what is said of a view stays true of it."""
