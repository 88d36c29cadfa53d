"""Who may do what: tokens, identities of an issuer, scopes, quotas; it knows of no HTTP framework."""
