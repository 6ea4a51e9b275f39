"""A hub and its nodes in memory: real handlers, stores and ledgers, a clock that tests move, faults by name."""
