"""Generated stubs; see deploy/stubs.py."""
