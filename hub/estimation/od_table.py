"""What goes into a table of origins and destinations, and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hub.estimation.od_spread import Spread

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]
Kinds = NDArray[np.int64]
#: Kinds of cells: who stays (the diagonal), who has no destination (the last column), who goes to another zone.
STAY, NONE, APART = 0, 1, 2


@dataclass(frozen=True)
class Counted:
    """Noisy counts of subscribers by origin and destination, summed over the operators that answered.

    Attributes
    ----------
    cells
        float64 of shape (origins, destinations + 1); the last column has those without a destination in a zone.
    noise
        Variance of the noise of each cell.
    totals, totals_noise
        The same subscribers by origin, counted again with noise of its own (another product of the period, as
        `residents`), shape (origins,), and its variance; None if there is no such count.
    stays
        Whether destinations are the same zones as origins, so that the diagonal has those who stay.
    empty
        Cells in which nobody can be, of the table's shape, their counts all noise; None if there are none.
    """

    cells: Values
    noise: float
    totals: Values | None = None
    totals_noise: float = 0.0
    stays: bool = True
    empty: Mask | None = None

    def __post_init__(self) -> None:
        """Refuse what is no table.

        Raises
        ------
        ValueError
            If shapes do not fit, or a number is not finite.
        """
        rows, columns = self.cells.shape
        if rows == 0 or columns < 2 or (self.stays and columns != rows + 1):
            raise ValueError(
                "a table has origins, destinations and a last column for those without a destination"
            )
        if not np.isfinite(self.cells).all() or min(self.noise, self.totals_noise) < 0:
            raise ValueError("counts are finite, and the variance of their noise is not negative")
        if self.totals is not None and self.totals.shape != (rows,):
            raise ValueError("there is one total for each origin")
        if self.empty is not None and self.empty.shape != self.cells.shape:
            raise ValueError("empty cells are told for the whole table")

    def kinds(self) -> Kinds:
        """Return what each cell is, int64 of the table's shape: `STAY`, `NONE` or `APART`."""
        kinds = np.full(self.cells.shape, APART)
        if self.stays:
            np.fill_diagonal(kinds[:, :-1], STAY)
        kinds[:, -1] = NONE
        return kinds

    def sums(self, kind: int) -> Values:
        """Return the sum of one kind of cell by origin."""
        return np.asarray(np.where(self.kinds() == kind, self.cells, 0.0).sum(axis=1))

    def leaving(self) -> tuple[Values, float]:
        """Return who goes to other zones, shape (origins,), and its variance by noise.

        They are summed, and they are the total without those who stay and those without a destination: the mean of
        both.
        """
        here = int((self.kinds()[0] == APART).sum())
        summed, variance = self.sums(APART), here * self.noise
        if self.totals is None:
            return summed, variance
        spread = self.totals_noise + (self.cells.shape[1] - here) * self.noise
        share = 0.5 if spread + variance == 0 else spread / (spread + variance)
        other = self.totals - self.sums(STAY) - self.sums(NONE)
        return share * summed + (1 - share) * other, share**2 * variance + (1 - share) ** 2 * spread


@dataclass(frozen=True)
class Model:
    """What a table looks like on average.

    Attributes
    ----------
    mean
        Expected counts (or anything proportional to them by row), not negative, of the shape of the counts.
    error
        Variance by what the model itself does not know well of each destination, as a part of the square of its
        cells, shape (destinations,).
    """

    mean: Values
    error: Values

    @classmethod
    def exactly(cls, mean: Values) -> Model:
        """Return a model that is taken as it is."""
        return cls(mean, np.zeros(mean.shape[1]))


@dataclass(frozen=True)
class Known:
    """Persons by zone that are known or estimated.

    Attributes
    ----------
    persons
        Not negative, float64 of shape (zones,).
    variance
        Of each, independent of each other; zero where it is known exactly.
    """

    persons: Values
    variance: Values

    def __post_init__(self) -> None:
        """Refuse what cannot be persons.

        Raises
        ------
        ValueError
            If a number is negative or not finite, or shapes differ.
        """
        both = (self.persons, self.variance)
        if self.persons.shape != self.variance.shape or any(np.any(~np.isfinite(a) | (a < 0)) for a in both):
            raise ValueError(
                "persons and their variances are finite numbers, not negative, one of each by zone"
            )

    @classmethod
    def exactly(cls, persons: Values) -> Known:
        """Return persons that are known without error."""
        return cls(persons, np.zeros_like(persons))

    def nobody(self) -> Mask:
        """Return where it is certain that there is nobody."""
        return np.asarray((self.persons == 0) & (self.variance == 0))


@dataclass(frozen=True)
class Assumed:
    """What the table itself cannot tell and is declared.

    Attributes
    ----------
    dispersion
        Variance of subscribers around what the operators' share of the persons leads to expect, as a part of their
        number; 1 if persons choose their operator by chance and few of them are subscribers.
    lean
        Standard deviation of how much more or less than others customers go to other zones, as a part.
    """

    dispersion: float = 1.0
    lean: float = 0.0


@dataclass(frozen=True)
class Table:
    """Estimated persons by origin and destination, arrays of the shape of the counts; not cut at zero.

    Attributes
    ----------
    estimate
        Persons; not a number where nothing is known of an origin.
    spread
        Covariance of the cells.
    noise
        Part of each cell's variance that is noise of differential privacy.
    gamma
        Weight of the cell's own count against the model.
    imputed
        Origins without a signal: their cells are those of the model (status I), bool of shape (origins,).
    scope
        How the concept differs from that of other statistics, and what was assumed.
    disagreement
        Root of the mean square of what known sums by destination differ from the table before they were met, in
        standard deviations of both: 1 if errors are as they should be; not a number where no sums were known.
    """

    estimate: Values
    spread: Spread
    noise: Values
    gamma: Values
    imputed: Mask
    scope: tuple[str, ...]
    disagreement: float = float("nan")

    @property
    def sd(self) -> Values:
        """Return the standard deviation of each cell."""
        return np.sqrt(self.spread.variance())
