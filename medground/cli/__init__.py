"""The top floor: the `medground` command. It parses, wires and calls."""
