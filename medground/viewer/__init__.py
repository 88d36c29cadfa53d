"""The viewer: a page to ask, look, correct and sign on; it knows the service by its client alone."""
