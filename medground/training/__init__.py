"""Floor 3: one trainer, configured by recipes."""
