"""The node's definitions once more, in plain Python, written from the method pages: what the tests hold to."""
