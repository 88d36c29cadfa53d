"""Question-and-region pairs written from labelled images; what the words mean is laid down in `schema.pair`."""
