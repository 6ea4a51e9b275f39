r"""Which cells one operator makes nearly alone: CL_CONF_STATUS N where it stands alone, O where it dominates,
else F.

What is judged is the operators' noisy vectors, cell by cell, for every operator in turn. Its noisy share of a cell
p = y_k/Σy has the variance

    D = [(1 − p)²·V_k + p²·Σ_{j≠k} V_j]/Y² + p(1 − p)/Y

by noise (the delta method, with p the national share so that noise does not choose its own variance) and by
chance. It is drawn to the operator's national share s, by a spread B between cells that the cells themselves tell
(method of moments, weighted or not, whichever is more; DerSimonian and Laird 1986, Controlled Clinical Trials 7,
177-188), and never more than s(1 − s), the most there can be:

    p̂ = s + B/(B + D)·(p − s),    Var(p̂) = B·D/(B + D).

The operator dominates if the upper end p̂ + 1.645·√Var(p̂) is above the threshold: where it is not known, it is
held to be so. It stands alone if it does, and the others together are within 1.645 standard deviations of nobody.
Where the sum of a cell is within five standard deviations of its noise, there is no share to be judged, p̂ = s
and Var(p̂) = B. One operator that answered alone stands alone in every cell.

Does a flag tell a share? Everything here is made of noisy vectors that were paid for, so it costs subscribers
nothing. Shares are secrets of operators. O says that somebody's share may be above the threshold; not whose, but
where the market is known that can be guessed. As the upper end is judged, it is said of cells below the threshold
too, the smaller the more. F says, with some confidence, that nobody's share is above it. Both are one side of one
number. Where the flag changes from hour to hour, or between an area and its parts, the share is near that number,
and the same cells judged with several thresholds would give shares away: so there is one threshold, of the
charter, that does not change, and p̂ and its variance stay inside. A cell with O or N is not for publication, nor
are areas and parts that give it back by subtraction; that is up to whoever makes the table.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hub.estimation.period import GATE, Period

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]
#: SDMX CL_CONF_STATUS.
FREE, ALONE, DOMINATED = "F", "N", "O"
#: One-sided confidence of 95 %.
_REACH = 1.6448536269514722


def confidentiality(period: Period, threshold: float) -> NDArray[np.str_]:
    """Return F, O or N for every cell.

    Parameters
    ----------
    period
        Noisy counts of the operators, float64 of shape (operators, cells); of several hours or levels, one period
        each.
    threshold
        Share above which an operator dominates, above a half and below 1; one number of the charter.

    Raises
    ------
    ValueError
        If nobody answered, or the threshold is none.
    """
    if not 0.5 < threshold < 1:
        raise ValueError(f"the threshold must be above a half and below 1, not {threshold:g}")
    answered = int(period.present.sum())
    if answered == 0:
        raise ValueError("no operator answered")
    cells = period.counts.shape[1]
    if answered == 1:
        return np.full(cells, ALONE)
    counts, noise = period.counts[period.present], period.noise[period.present]
    judged = [_judged(counts, noise, k, threshold) for k in range(answered)]
    dominated = np.any([dominates for dominates, _alone in judged], axis=0)
    alone = np.any([alone for _dominates, alone in judged], axis=0)
    return np.where(alone, ALONE, np.where(dominated, DOMINATED, FREE))


def _judged(counts: Values, noise: Values, k: int, threshold: float) -> tuple[Mask, Mask]:
    """Return where an operator may dominate, and where nobody is seen beside it."""
    others = np.arange(counts.shape[0]) != k
    beside, beside_noise = counts[others].sum(axis=0), noise[others].sum(axis=0)
    upper = _upper((counts[k], noise[k]), (beside, beside_noise))
    dominates = upper > threshold
    heard = counts[k] > GATE * np.sqrt(noise[k])
    nobody = beside <= _REACH * np.sqrt(beside_noise)
    return dominates, np.asarray(dominates & heard & nobody)


def _upper(own: tuple[Values, Values], others: tuple[Values, Values]) -> Values:
    """Return the upper end of an operator's share of every cell."""
    whole, noise = own[0] + others[0], own[1] + others[1]
    seen = (whole > GATE * np.sqrt(noise)) & (whole > 0)
    national = float(np.clip(own[0].sum() / max(float(whole.sum()), 1.0), 0.0, 1.0))
    size = np.where(seen, whole, 1.0)
    error = ((1 - national) ** 2 * own[1] + national**2 * others[1]) / size**2 + national * (
        1 - national
    ) / size
    share = own[0] / size
    between = _between(share[seen], error[seen], national)
    weight = np.where(seen, between / np.maximum(between + error, np.finfo(np.float64).tiny), 0.0)
    centre = national + weight * (np.where(seen, share, national) - national)
    variance = np.where(seen, weight * error, between)
    return np.asarray(centre + _REACH * np.sqrt(variance))


def _between(share: Values, error: Values, national: float) -> float:
    """Return the variance of an operator's share between cells, by the method of moments."""
    most = national * (1 - national)
    if share.size < 2:
        return most
    weights = 1.0 / np.maximum(error, np.finfo(np.float64).tiny)
    squares = (share - national) ** 2
    weighted = (float(weights @ squares) - share.size) / float(weights.sum())
    # Large cells rule the weighted one; where small cells differ more, that must not hide who dominates there.
    return float(np.clip(max(weighted, float((squares - error).mean())), 0.0, most))
