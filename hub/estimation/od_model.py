r"""What a table of origins and destinations looks like on average: the model that its small cells lean on.

    m_hd = c·R_h·π_h          on the diagonal, who stays,
    m_hd = q_hd               to other zones:  Σ_d q_hd = O_h,  Σ_h q_hd = E_d,  Σ_{dist(h,d) in b} q_hd = B_b
    m_hs = c·R_h·ς            who has no destination

with R_h the persons of the origin and c subscribers for each of them. Without distances that is quasi-independence
(Goodman 1968, JASA 63, 1091-1131); with distances it is the gravity model whose deterrence is a step for each
class of distances (Evans and Kirby 1974, Transportation Research 8, 105-122). Sums by origin and by destination
are noisy where zones are small: each is predicted from its ratio to the zone's persons (`hub.estimation.blup`). A
table of an earlier period or a census can take the model's place.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hub.estimation.blup import Areas, fit, predict
from hub.estimation.ipf import Margin, rows_and_columns, scaled
from hub.estimation.od_table import APART, NONE, STAY, Counted, Model

Values = NDArray[np.float64]
#: A sum is told from noise above so many of its standard deviations.
GATE = 5.0
#: Fewest numbers that tell a spread.
FEWEST = 20
_CLASSES, _SWEEPS = 16, 30
#: No expected sum is smaller than this part of the average one: a model has no empty zone.
_LEAST = 0.01
#: A zone draws from others as if at least this part of the average zone's persons lived there.
_SMALL = 0.1


def expected(
    counted: Counted, persons: Values, distance: Values | None = None, arriving: Values | None = None
) -> Model:
    """Return the expected counts m, with how well sums by destination are known.

    Parameters
    ----------
    counted
        The table, of zones by the same zones.
    persons
        By origin, float64 of shape (zones,).
    distance
        Between the middles of zones, float64 of shape (zones, zones), in any unit; None if it is not known.
    arriving
        Subscribers expected to arrive in each zone from others, shape (zones,), if the counts need not tell; not a
        number where they must.
    """
    zones, total = persons.size, max(float(persons.sum()), 1.0)
    noise = zones * counted.noise
    (stay, _certain), (none, of_none) = (at_least(float(counted.sums(k).sum()), noise) for k in (STAY, NONE))
    model, error = np.zeros((zones, zones + 1)), np.append(np.zeros(zones), of_none)
    model[:, -1] = none * persons / total
    if zones > 1:
        model[:, :-1], error[:-1] = _apart(counted, persons, distance, arriving)
    np.fill_diagonal(model[:, :-1], stay * persons / total)
    return Model(model if counted.empty is None else np.where(counted.empty, 0.0, model), error)


def _apart(
    counted: Counted, persons: Values, distance: Values | None, arriving: Values | None
) -> tuple[Values, Values]:
    """Return the expected counts between different zones, and the relative variance of each destination."""
    zones = persons.size
    possible = (counted.kinds() == APART)[:, :-1]
    if counted.empty is not None:
        possible &= ~counted.empty[:, :-1]
    off = np.where(possible, counted.cells[:, :-1], 0.0)
    origins, _doubt = rated(*counted.leaving(), persons)
    # Where nobody lives many may work.
    drawing = np.maximum(persons, _SMALL * persons.mean())
    destinations, error = rated(off.sum(axis=0), (zones - 1) * counted.noise, drawing)
    if arriving is not None:
        told = np.isfinite(arriving)
        destinations = np.where(told, np.maximum(arriving, _LEAST * destinations), destinations)
        error = np.where(told, 0.0, error)
    if not origins.any() or not destinations.any():
        return np.zeros((zones, zones)), error
    margins: list[Margin] = [*rows_and_columns(origins, destinations * (origins.sum() / destinations.sum()))]
    if distance is not None:
        margins.insert(0, _by_distance(off, counted.noise, distance, float(origins.sum())))
    found = scaled(possible.astype(np.float64), margins, _SWEEPS)
    # By row it is the pattern that counts: what is known of an origin's own sum comes in with its error, later.
    whole = found.sum(axis=1)
    level = origins.sum() * persons / max(float(persons.sum()), 1.0)
    return found * (level / np.where(whole > 0, whole, 1.0))[:, None], error


def at_least(found: float, noise: float) -> tuple[float, float]:
    """Return a noisy sum, not below the standard deviation of its noise, and its relative variance."""
    value = max(found, float(np.sqrt(noise)))
    return value, noise / value**2 if value > 0 else 0.0


def rated(sums: Values, noise: float, persons: Values) -> tuple[Values, Values]:
    """Return sums by zone, drawn to the rate by person by how well they are known, and their relative variance.

    Parameters
    ----------
    sums
        Noisy, float64 of shape (zones,).
    noise
        Variance of each.
    persons
        To which sums are about proportional, shape (zones,).
    """
    there = persons > 0
    mean = max(float(sums.sum()) / max(float(persons.sum()), np.finfo(np.float64).tiny), 0.0)
    if there.sum() < FEWEST or noise == 0:
        found = np.maximum(sums, _LEAST * mean * persons)
        return found, noise / np.where(found > 0, found, np.inf) ** 2
    size = persons[there]
    areas = Areas(sums[there] / size, noise / size**2, np.ones((size.size, 1)), np.zeros(size.size))
    best = predict(fit(areas), areas)
    rate, error = np.full(persons.size, mean), np.zeros(persons.size)
    rate[there] = np.maximum(best.value, _LEAST * mean)
    error[there] = best.mse / np.where(rate[there] > 0, rate[there], np.inf) ** 2
    return np.asarray(rate * persons), error


def _by_distance(off: Values, noise: float, distance: Values, total: float) -> Margin:
    """Return sums by class of distance; classes that do not stand out of their noise are joined with the next."""
    apart = ~np.eye(off.shape[0], dtype=np.bool_)
    near, far = np.quantile(distance[apart], [0.002, 1.0])
    edges = np.geomspace(max(float(near), far / 1e6), far, _CLASSES + 1)[1:-1] if far > 0 else np.empty(0)
    classes = np.searchsorted(edges, distance)
    sums = np.bincount(classes[apart], off[apart], _CLASSES)
    cells = np.bincount(classes[apart], minlength=_CLASSES)
    label, place, held, count = np.zeros(_CLASSES, dtype=np.int64), 0, 0.0, 0
    kept: list[float] = []
    for number in range(_CLASSES):
        label[number], held, count = place, held + sums[number], count + cells[number]
        if held > GATE * np.sqrt(noise * count) and held > 0:
            kept.append(held)
            place, held, count = place + 1, 0.0, 0
    if not kept:
        return Margin(np.zeros_like(classes), np.array([total]))
    # What is left beyond the last class that stands out belongs to it.
    kept[-1] = max(kept[-1] + held, _LEAST * kept[-1])
    label = np.minimum(label, len(kept) - 1)
    found = np.array(kept)
    return Margin(label[classes], found * (total / found.sum()))
