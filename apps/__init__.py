"""Entry points for people: composition only."""
