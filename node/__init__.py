"""The operator's daemon: sources → presence → statistics → release → upload."""
