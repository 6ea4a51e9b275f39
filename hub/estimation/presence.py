r"""Presence by hour, in which everybody counts with the weight of their anchor zone: two rounds of one day.

The night zones of a date (anchors) say how many subscribers y_ka of operator k live in zone a. The hub gives
operator k alone the weights

    w_ka = O_a / ŷ_ka,      O = who moves,  ŷ_ka = O_a·exp(θ̂_ka),

with θ̂ the empirical best linear unbiased prediction of log(y/O) around the operator's mean, so that the noise of
small zones is smoothed; weights above the agreed maximum are cut. The operator's answer to the second round,
P_kzh = Σ w over its subscribers that are in z at h, and U_krh = Σ w over those of anchor region r that are silent
then, is an estimate of all phone owners by itself:

    P̂_kzh = P_kzh·(1 + U_krh / Σ_{z∈r} P_kzh) / s_k,

s_k the part of the owners for whom weights that were not cut leave somebody to stand; by how much zones differ in
that is in the variance.

Who moves are phone owners, and a declared part of those without a phone (`hub.estimation.rounds.stood_for`); all of
them are called owners here.

Answers are averaged, each operator with one weight by hour (so that sums stay sums). With two or more of them their
disagreement tells how much more than its noise an answer varies, φ_h·w̄·P + c_h²·P² by hour: the sampling of
subscribers, and operators whose subscribers behave otherwise. The other persons are added where they live.

Calibration of weights by strata: Deville and Särndal 1992, JASA 87, 376-382.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from hub.estimation.blup import Areas, fit, predict
from privacy.sensitivity import LARGEST_WEIGHT

Values = NDArray[np.float64]
#: A count below so many standard deviations of its noise says nothing about the operator's share.
GATE = 5.0
#: What tells an operator's weights is rounded to powers of this.
_STEP = 2**0.5
#: Fewest cells of an hour from which the disagreement of operators is learnt.
_FEWEST = 20


@dataclass(frozen=True)
class Weights:
    """What one operator's subscribers count, arrays of shape (zones,).

    Attributes
    ----------
    value
        Persons for each subscriber of an anchor zone; also the operator's calibration factors.
    sd
        Standard deviation of its logarithm.
    lacking
        Phone owners for whom the largest weight leaves nobody to stand.
    owners
        Phone owners.
    """

    value: Values
    sd: Values
    lacking: Values
    owners: Values

    @property
    def anybody(self) -> bool:
        """Whether the operator stands for anybody."""
        return bool((self.value > 0).any())

    @property
    def standing(self) -> float:
        """Part of the phone owners for whom somebody stands, from 0 to 1."""
        whole = float(self.owners.sum())
        return 1.0 - float(self.lacking.sum()) / whole if whole > 0 else 1.0

    @property
    def misplaced(self) -> Values:
        """Owners whom a zone has too many or too few when those who stand for somebody stand for all."""
        return np.asarray(self.owners - (self.owners - self.lacking) / max(self.standing, 1e-9))


@dataclass(frozen=True)
class Answer:
    """One operator's answer to the second round, in persons.

    Attributes
    ----------
    present
        P, float64 of shape (zones, hours).
    silent
        U, float64 of shape (regions, hours).
    noise
        Variance of the noise in each cell.
    weights
        With which it was made.
    """

    present: Values
    silent: Values
    noise: float
    weights: Weights


@dataclass(frozen=True)
class Presence:
    """Phone owners who are present, arrays of shape (zones, hours).

    Attributes
    ----------
    estimate
        Not cut at zero.
    noise, sampling
        Variance that is noise (of the answers, and through the weights), and that by who is a subscriber.
    assigned
        Part of the estimate that stands for phones that were silent: they may have been elsewhere than the others.
    relative
        c: standard deviation of what operators disagree about beyond that, as a part of the estimate; shape (hours,).
    disagreement
        Root of the mean square of standardised differences between operators, by hour; 1 if they differ by what noise
        and sampling alone explain. Not a number where only one answered.
    moving
        What one standard deviation of the delay with which phones are seen would change, signed, shape (2, zones,
        hours): if it is longer, and if it is shorter (`hub.estimation.delay`).
    blunted
        By how much peaks are seen too low because that delay varies, signed, shape (zones, hours).
    """

    estimate: Values
    noise: Values
    sampling: Values
    assigned: Values
    relative: Values
    disagreement: Values
    moving: Values
    blunted: Values

    def variance(self, silent: float) -> Values:
        """Return the variance of each cell.

        Parameters
        ----------
        silent
            Standard deviation of what was assigned, as a part of it.
        """
        model = (self.relative * self.estimate) ** 2 + (silent * self.assigned) ** 2
        return np.asarray(
            self.noise + self.sampling + model + (self.moving**2).mean(axis=0) + self.blunted**2
        )

    def of(self, membership: Values) -> Presence:
        """Return the presence of areas that are sums of zones.

        What operators disagree about, and where silent phones are, is taken as the same in all zones of an area: the
        interval is rather too wide than too narrow.

        Parameters
        ----------
        membership
            0 or 1, float64 of shape (areas, zones).
        """
        return replace(
            self,
            estimate=membership @ self.estimate,
            noise=membership @ self.noise,
            sampling=membership @ self.sampling,
            assigned=membership @ self.assigned,
            moving=membership @ self.moving,
            blunted=membership @ self.blunted,
        )


def stands_out(owners: Values, anchors: Values, noise: Values) -> NDArray[np.bool_]:
    """Return in which zones an operator's anchors tell a weight: they are above their noise, and there are owners.

    Parameters
    ----------
    owners, anchors, noise
        As for `weights`, shape (zones,).
    """
    return (anchors > GATE * np.sqrt(noise)) & (owners > 0) & (anchors > 0)


def weights(owners: Values, anchors: Values, noise: Values, largest: float) -> Weights:
    """Return the weights of one operator.

    Parameters
    ----------
    owners
        Phone owners who live in each zone, float64 of shape (zones,).
    anchors, noise
        The operator's noisy counts of anchored subscribers, and the variance of their noise, shape (zones,).
    largest
        No weight is larger.

    Notes
    -----
    The subscribers were counted, not sampled, so only noise is smoothed. An operator with no zone above its noise has
    no weights: all are zero, and it stands for nobody.
    """
    told = stands_out(owners, anchors, noise)
    if not told.any():
        return Weights(np.zeros_like(owners), np.full_like(owners, np.inf), owners.copy(), owners)
    logarithm, spread = np.full_like(owners, np.nan), np.full_like(owners, np.inf)
    logarithm[told], spread[told] = np.log(anchors[told] / owners[told]), noise[told] / anchors[told] ** 2
    areas = Areas(logarithm, spread, np.ones((owners.size, 1)), np.zeros(owners.size))
    if told.sum() > 1:
        found = predict(fit(areas.of(told)), areas)
        value, error = found.value, found.mse
    else:
        value, error = np.full_like(owners, logarithm[told][0]), np.full_like(owners, spread[told][0])
    wanted = np.exp(-value)
    given = np.minimum(wanted, largest)
    return Weights(given, np.sqrt(error), owners * (1.0 - given / wanted), owners)


@dataclass(frozen=True)
class FixedPoint:
    """Weights as whole numbers, the last one that of the unanchored, who stand for no zone: zero.

    Attributes
    ----------
    one
        So many make a person.
    value
        Of each zone, then zero.
    """

    one: int
    value: tuple[int, ...]


def in_fixed_point(value: Values, largest: int, one: int) -> FixedPoint:
    """Return weights in the finest parts of a person in which none is above `largest`.

    Noise is made for weights up to the largest, whatever they are. So the largest weight of an operator is made
    nearly that one, and the answer in persons has so much less noise. How many parts make a person shows in
    published standard errors, so it is one of few: `one` times a power of √2.

    Parameters
    ----------
    value
        Persons for each subscriber, float64 of shape (zones,), not above largest/one.
    largest
        No whole number is larger.
    one
        Fewest parts of a person.
    """
    highest = float(value.max(initial=0.0))
    steps = _steps(largest / (one * highest)) if highest > 0 else 0
    # A hair above, so that a whole number of steps is one whatever logarithms say.
    parts = min(round(one * _STEP ** max(math.floor(steps + 1e-9), 0)), LARGEST_WEIGHT)
    found = np.minimum(np.rint(value * parts), largest).astype(np.int64)
    return FixedPoint(parts, (*found.tolist(), 0))


def _steps(value: float) -> float:
    """Return which power of √2 a number is."""
    return math.log(value, _STEP)


def national(answer: Answer, regions: NDArray[np.int64]) -> tuple[Values, Values]:
    """Return phone owners present by one operator's answer, and those of them who were silent, shape (zones, hours).

    Parameters
    ----------
    answer
        Of the operator.
    regions
        Anchor region of each zone, shape (zones,); regions count from 0.
    """
    seen = np.zeros_like(answer.silent)
    np.add.at(seen, regions, answer.present)
    noise = np.sqrt(answer.noise * np.bincount(regions, minlength=seen.shape[0]))[:, None]
    # A region in which nobody can be told from noise has the part of silent phones that the country has.
    told = seen > GATE * noise
    country = _ratio(answer.silent.sum(axis=0), seen.sum(axis=0))
    factor = np.where(told, _ratio(answer.silent, np.where(told, seen, 1.0)), country)
    assigned = np.asarray(answer.present * factor[regions])
    # For whom the largest weight leaves nobody to stand, the others stand for them: where they are nobody knows.
    standing = answer.weights.standing
    return (answer.present + assigned) / standing, assigned / standing


def _ratio(part: Values, whole: Values) -> Values:
    return np.asarray(part / np.where(whole > 0, whole, np.inf))


def averaged(
    answers: Sequence[Answer], regions: NDArray[np.int64], owners: Values, relative: float
) -> Presence:
    """Average the answers of the operators that gave one.

    Parameters
    ----------
    answers
        At least one, each of an operator that stands for somebody.
    regions
        Anchor region of each zone.
    owners
        Phone owners who live in each zone.
    relative
        c where it cannot be learnt because one operator alone answered.

    Raises
    ------
    ValueError
        If an operator stands for nobody.
    """
    if not all(answer.weights.anybody for answer in answers):
        raise ValueError("an operator without weights stands for nobody, and has no part in an average")
    found = [national(answer, regions) for answer in answers]
    each, silent = np.stack([one for one, _silent in found]), np.stack([one for _all, one in found])
    noise = np.stack([_noise(answer, one, owners) for answer, one in zip(answers, each, strict=True)])
    mean_weights = [max(_mean_weight(answer, owners), 1.0) for answer in answers]
    chance = np.array(mean_weights)[:, None, None] - 1.0
    # Parts in the average show in standard errors, also of cells in which nobody is: they know weights roughly.
    roughly = np.array([_STEP ** round(_steps(weight)) for weight in mean_weights])[:, None, None] - 1.0
    share = _shares(noise + roughly * np.maximum(each.mean(axis=0), 0.0))
    estimate = np.asarray((share[:, None, :] * each).sum(axis=0))
    people = np.maximum(estimate, 0.0)
    by_weight = chance * people
    dispersion, spread = _learnt(each, noise, by_weight, people, relative)
    expected = noise + by_weight
    told = len(answers) > 1
    return Presence(
        estimate=estimate,
        noise=(share[:, None, :] ** 2 * noise).sum(axis=0),
        sampling=dispersion * (share[:, None, :] ** 2 * by_weight).sum(axis=0),
        assigned=(share[:, None, :] * silent).sum(axis=0),
        relative=spread * np.sqrt((share**2).sum(axis=0)),
        disagreement=_disagreement(each, expected) if told else np.full(each.shape[2], np.nan),
        moving=np.zeros((2, *estimate.shape)),
        blunted=np.zeros_like(estimate),
    )


def _noise(answer: Answer, found: Values, owners: Values) -> Values:
    """Return the variance of an answer: its noise, that of the weights of those at home, and what was cut of them."""
    at_home, weights_ = np.minimum(np.maximum(found, 0.0), owners[:, None]), answer.weights
    sd = np.where(np.isfinite(weights_.sd), weights_.sd, 0.0)[:, None]
    own = answer.noise / max(weights_.standing, 1e-9) ** 2
    # An hour that is lost in its noise says nothing of where anybody is.
    lost = answer.present.sum(axis=0) <= GATE * np.sqrt(answer.noise * owners.size)
    nothing = np.where(lost, owners[:, None] ** 2, 0.0)
    return np.asarray(own + (at_home * sd) ** 2 + weights_.misplaced[:, None] ** 2 + nothing)


def _shares(variance: Values) -> Values:
    """Return the weight of each operator by hour, by the inverse of its mean variance, shape (operators, hours)."""
    inverse = 1.0 / variance.mean(axis=1)
    return np.asarray(inverse / inverse.sum(axis=0))


def _mean_weight(answer: Answer, owners: Values) -> float:
    return float(owners @ answer.weights.value / max(float(owners.sum()), 1.0))


def _learnt(
    each: Values, noise: Values, by_weight: Values, people: Values, relative: float
) -> tuple[Values, Values]:
    """Return φ and c by hour: from the disagreement of operators, or 1 and what is declared."""
    operators, zones, hours = each.shape
    dispersion, spread = np.ones(hours), np.full(hours, relative)
    if operators < 2 or zones < _FEWEST:
        return dispersion, spread
    for hour in range(hours):
        rest = each[:, :, hour] - each[:, :, hour].mean(axis=0)
        # E[Σ rest²] = (1 − 1/K)·Σ variance, for independent answers of about the same variance.
        excess = (rest**2).sum(axis=0) - (1 - 1 / operators) * noise[:, :, hour].sum(axis=0)
        known = (1 - 1 / operators) * by_weight[:, :, hour].sum(axis=0)
        scale = 1.0 / np.maximum(known + noise[:, :, hour].sum(axis=0), 1.0)
        design = np.stack([known * scale, (operators - 1) * people[:, hour] ** 2 * scale], axis=1)
        (phi, square), _rest = nnls(design, excess * scale)
        dispersion[hour], spread[hour] = min(phi, 1.0), np.sqrt(square)
    return dispersion, spread


def _disagreement(each: Values, expected: Values) -> Values:
    weight = 1.0 / expected
    middle = (weight * each).sum(axis=0) / weight.sum(axis=0)
    squares = (weight * (each - middle) ** 2).sum(axis=(0, 1))
    return np.asarray(np.sqrt(squares / ((each.shape[0] - 1) * each.shape[1])))
