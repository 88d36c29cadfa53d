"""The service as an application: one config file in, one running process out."""
