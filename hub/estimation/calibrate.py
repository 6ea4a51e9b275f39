r"""Calibration to the register, simple and declared; docs/method.md explains it.

Phone owners come from the operators, persons without a phone from the register. With Y the sum over
operators, O the phone owners and N the persons of the register, zone z and hour h:

    estimate_zh = (O / Y_h)·Y_zh + (N_z − O_z),     O = Σ_z O_z,  Y_h = Σ_z Y_zh

One ratio for the country and hour stands for second subscriptions, silent phones and missing operators
alike; persons without a phone are counted where they are registered. The standard error adds

- the noise, through the ratio: (O/Y_h)²·(V_a − 2p·V_aY + p²·V_Y) for an area with the share p of Y_h, where V_a
  and V_Y are the noise of the area and of Y_h and V_aY their covariance; with one level of independent noise σ²
  that is σ²·(m(1 − 2p) + p²Z) for m of the Z zones (variance of a ratio estimator by linearisation; Cochran
  1977, Sampling Techniques, eq. 6.10),
- the spread of subscriptions around owners: a declared variance per owner,
- what the model leaves out: a declared share of the estimate,
- when operators are missing, the drift of market shares between zones with equal shares s and the declared δ:
  δ²·[Σ_S s²(1−s_S)² + s_S²·Σ_∉S s²]/s_S².

Nothing is clipped but the lower bound, at zero, as the last step.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from hub.config import Register
from hub.estimation.combine import Combined, membership_of
from hub.estimation.drift import drift_factor
from quorate.contract.charter import Calibration

Z_95 = NormalDist().inv_cdf(0.975)
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Estimates:
    """Estimates of areas by hour, each array float64 of shape (areas, hours).

    `noise` is the part of the variance that is noise of differential privacy.
    """

    estimate: Values
    std_error: Values
    noise: Values

    @property
    def lower_95(self) -> Values:
        """Lower end of the 95 % interval, not below zero."""
        return np.maximum(self.estimate - Z_95 * self.std_error, 0.0)

    @property
    def upper_95(self) -> Values:
        """Upper end of the 95 % interval."""
        return np.maximum(self.estimate + Z_95 * self.std_error, 0.0)


def share_drift(answered: int, operators: int, share_sd: float) -> float:
    """Return the relative variance that missing operators add, for operators of equal share.

    Parameters
    ----------
    answered, operators
        Operators in the sum, and in the charter.
    share_sd
        Standard deviation over zones of the logarithm of a market share.
    """
    shares = np.full((operators, 1), 1.0 / operators)
    return share_sd**2 * float(drift_factor(shares, np.arange(operators) < answered)[0])


def calibrate(  # noqa: PLR0917 - what is calibrated, to what, under which assumptions
    combined: Combined,
    register: Register,
    members: list[list[int]],
    assumed: Calibration,
    operators: int,
    total: tuple[float, float] | None = None,
    answered: NDArray[np.int64] | None = None,
) -> Estimates:
    """Return estimates of persons for areas.

    Parameters
    ----------
    combined
        Sum over the operators that answered.
    register
        Population and phone owners by zone.
    members
        Zone indices of each area.
    assumed
        The charter's declared assumptions.
    operators
        Number of operators in the charter.
    total
        Phone owners of the country and the standard deviation of their number; None for those of the register.
    answered
        How many of the operators in the sum have a signal in each hour, shape (hours,); None for all of them. One
        that has none is missing in that hour.

    Notes
    -----
    Where the national sum of an hour is not above its own noise, nothing can be said of that hour: its
    standard error is infinite.
    """
    membership = membership_of(members, combined.zones.shape[0])
    noise_area, noise_common, noise_total = combined.noise_of(membership)
    summed, usable = combined.zones.sum(axis=0), combined.heard
    persons, doubt = total or (float(register.phone_owners.sum()), 0.0)
    ratio = persons / np.where(usable, summed, 1.0)
    counted = membership @ combined.zones
    share = counted / np.where(usable, summed, 1.0)
    owners = ratio * counted
    offset = (membership @ (register.population - register.phone_owners))[:, None]
    noise = ratio**2 * (noise_area[:, None] - 2.0 * share * noise_common[:, None] + share**2 * noise_total)
    sampling = assumed.owner_dispersion_permille / 1000.0 * np.maximum(owners, 0.0)
    relative = (assumed.model_cv_permille / 1000.0) ** 2
    of_hour = np.full(summed.size, combined.operators) if answered is None else np.maximum(answered, 1)
    drift = np.array([share_drift(int(n), operators, assumed.share_sd_permille / 1000.0) for n in of_hour])
    common = drift + (doubt / persons) ** 2 if persons > 0 else drift
    variance = np.maximum(noise, 0.0) + sampling + relative * (owners + offset) ** 2 + common * owners**2
    std_error = np.where(usable, np.sqrt(variance), np.inf)
    return Estimates(np.where(usable, owners + offset, offset), std_error, np.maximum(noise, 0.0))
