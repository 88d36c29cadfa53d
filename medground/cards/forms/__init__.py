"""The card in forms that programs read, each a pure function of the facts, each with a check of what it writes."""
