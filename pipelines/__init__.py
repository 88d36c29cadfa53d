"""Recipes and long jobs: each is `python -m pipelines NAME --help`."""
