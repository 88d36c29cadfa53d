"""Data cards: what a data set on disk is, for people as a page and for programs as Croissant."""
