"""An exact sampler of discrete distributions for large vectors, by inversion of a cumulative table."""
