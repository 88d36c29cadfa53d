"""De-identification: the basic profile of PS3.15 applied, and a second scan that does not trust it."""
