"""Floor 2: the one door to MLflow."""
