"""Floor 1: the one preprocessing that training and serving share."""
