"""Documents, identities and encodings that node and hub must understand in the same way."""
