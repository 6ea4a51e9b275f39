"""How reliable a published number is: the SDMX code list CL_OBS_STATUS."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hub.estimation.published import Figures

Values = NDArray[np.float64]
#: Largest coefficient of variation of a normal estimate (E) and of an unreliable one (U); above it is
#: suppressed (Q). Statistical offices have others (Statistics Canada, Guide to the Labour Force Survey: .165 and
#: .333); these are stricter.
CV_NORMAL, CV_UNRELIABLE = 0.10, 0.25


def statuses(figures: Figures) -> NDArray[np.str_]:
    """Return the status of every cell: by reliability, but I where nothing was measured and G without a register.

    A cell that is too unreliable is Q whatever it is made of.
    """
    reliable = reliability(figures.estimate, figures.std_error, figures.size)
    nowhere = np.zeros(reliable.shape, dtype=bool)
    experimental = nowhere if figures.experimental is None else figures.experimental
    instead = np.where(experimental, "G", np.where(figures.imputed, "I", reliable))
    return np.where(reliable == "Q", "Q", instead)


def reliability(value: Values, std_error: Values, size: Values) -> NDArray[np.str_]:
    """Return E, U or Q by the coefficient of variation.

    The standard error is held against the estimate and against the registered population, and the worse of
    the two decides. The estimate alone would publish just those small areas whose noise points upward.

    Parameters
    ----------
    value, std_error
        Estimates and their standard errors.
    size
        Registered persons of the areas: public, and without noise.
    """
    base = np.minimum(np.nan_to_num(value, nan=0.0), size)
    lost = ~(base > 0) | ~(std_error <= CV_UNRELIABLE * base)
    return np.where(lost, "Q", np.where(std_error <= CV_NORMAL * base, "E", "U"))
