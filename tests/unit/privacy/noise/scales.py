"""Declarations and scales of noise, and the losses that OpenDP finds for them."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import opendp.prelude as dp

from privacy.noise import gaussian
from privacy.sensitivity import Declaration, Mechanism
from privacy.statistics import PRESENCE_BY_HOUR, declare

GAUSSIAN: Mechanism = "discrete-gaussian"
LAPLACE: Mechanism = "discrete-laplace"
MECHANISMS = (GAUSSIAN, LAPLACE)
ONE = Declaration(cells_by_period=1, cells_by_day=2)
HOURLY = declare(PRESENCE_BY_HOUR, {}, 24)
#: rho .02 and what it asks for over 24 hours: 24/(2·.02) = 600 = 24.4949².
RHO, SIGMA = 20_000_000, 24_500
NOISE = gaussian(SIGMA)
#: Wider than the table.
WIDE = gaussian(3_000_000)
LARGEST = Declaration(cells_by_period=2**31, cells_by_day=2**31, cell_maximum=2**20)


def opendp_loss(squared: int, sigma_milli: int) -> Fraction:
    """Return the loss in nano-rho by OpenDP's map, at the sensitivity or the next double above it."""
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T=float)
    reach = math.sqrt(squared)
    if Fraction(reach) ** 2 < squared:
        reach = math.nextafter(reach, math.inf)
    measurement: Any = dp.m.make_gaussian(*space, scale=sigma_milli / 1000)
    return Fraction(measurement.map(reach)) * 10**9


def opendp_laplace_loss(absolute: int, scale_milli: int) -> Fraction:
    """Return the loss in nano-rho by OpenDP's map of Laplace noise, converted to zCDP by OpenDP."""
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l1_distance(T="i64")
    # Of the doubles next to a scale of thousandths, the lower one is never more noise than is drawn.
    scale = scale_milli / 1000
    if Fraction(scale) > Fraction(scale_milli, 1000):
        scale = math.nextafter(scale, 0.0)
    converted: Any = dp.c.make_pureDP_to_zCDP(dp.m.make_laplace(*space, scale=scale))
    return Fraction(converted.map(absolute)) * 10**9
