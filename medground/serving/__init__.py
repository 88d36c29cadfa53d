"""The service: studies and questions come in over the network, results go out, each exactly once."""
