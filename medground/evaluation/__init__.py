"""Floor 2: scores any system's boxes against truth; knows neither model nor data."""
