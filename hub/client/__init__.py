"""The statistical office's side: a Python client and the `quorate` command."""
