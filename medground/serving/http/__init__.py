"""The HTTP side of the service: what is asked for by `/v1/...`, and what keeps everybody else out."""
