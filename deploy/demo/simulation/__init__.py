"""Simulates a country with several mobile operators, and writes the truth beside the operators' data.

`simulate(country, settings, out)` draws persons, then their subscriptions, then the days. What goes in and
what comes out is in docs/country-directory.md. The same seed gives the same bytes.
"""

from deploy.demo.simulation.result import Counts, Simulation
from deploy.demo.simulation.run import simulate, write_world
from deploy.demo.simulation.settings import Settings

__all__ = ["Counts", "Settings", "Simulation", "simulate", "write_world"]
