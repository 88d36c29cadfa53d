"""Questions about phantom films that name more than one lesion until a side, a size or an order says which."""
