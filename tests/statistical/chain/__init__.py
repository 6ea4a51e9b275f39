"""Estimates end to end: a simulated country through real nodes and a real hub, held against its truth."""
