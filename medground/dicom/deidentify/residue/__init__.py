"""The second scan: what of the input's identity is left in the output. It imports nothing of the first part."""
