"""A client of the service, for programs and for the viewer; of medground it knows the schema alone."""
