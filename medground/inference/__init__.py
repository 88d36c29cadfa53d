"""Floor 3: from files and a question to a GroundingResult."""
