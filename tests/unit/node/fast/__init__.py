"""The fast path: equal to the definitions in plain Python and to the reference, within its memory."""
