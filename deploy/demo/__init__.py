"""The demo: a simulated country with several operators, and the whole chain on top of it."""
