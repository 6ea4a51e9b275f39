"""Expenditure on milk in 43 areas of the United States: the worked example of the literature on small areas.

Means, their standard errors and the major area of each: Arora and Lahiri (1997), Statistica Sinica 7, 1053-1063.
What was fitted to them by restricted maximum likelihood: Molina and Marhuenda (2015), sae: An R Package for Small
Area Estimation, The R Journal 7(1), 81-98; the figures of the method of moments are that package's too.
"""

from __future__ import annotations

import numpy as np

# fmt: off
MEAN = np.array([
    1.099, 1.075, 1.105, 0.628, 0.753, 0.981, 1.257, 1.095, 1.405, 1.356, 0.615, 1.460, 1.338, 0.854, 1.176, 1.111,
    1.257, 1.430, 1.278, 1.292, 1.002, 1.183, 1.044, 1.267, 1.193, 0.791, 0.795, 0.759, 0.796, 0.565, 0.886, 0.952,
    0.807, 0.582, 0.684, 0.787, 0.440, 0.759, 0.770, 0.800, 0.756, 0.865, 0.640,
])
ERROR = np.array([
    0.163, 0.080, 0.083, 0.109, 0.119, 0.141, 0.202, 0.127, 0.168, 0.178, 0.100, 0.201, 0.148, 0.143, 0.149, 0.145,
    0.135, 0.172, 0.137, 0.163, 0.125, 0.247, 0.140, 0.171, 0.106, 0.121, 0.121, 0.259, 0.106, 0.089, 0.225, 0.205,
    0.119, 0.067, 0.106, 0.126, 0.092, 0.132, 0.100, 0.113, 0.083, 0.121, 0.129,
])
# fmt: on
MAJOR = np.repeat([1, 2, 3, 4], [7, 7, 11, 18])
COVARIATES = np.stack([np.ones(43), *(np.where(major == MAJOR, 1.0, 0.0) for major in (2, 3, 4))], axis=1)

#: Restricted maximum likelihood: coefficients and their standard errors, predictions and mean squared errors of the
#: first and last areas.
BETA = (0.9681890, 0.1327801, 0.2269462, -0.2413011)
BETA_ERROR = (0.06936208, 0.10300072, 0.09232981, 0.08161707)
FIRST = (1.0219703, 1.0476018, 1.0679513, 0.7608170, 0.8461574, 0.9743727, 1.0584523)
FIRST_MSE = (0.013460220, 0.005372876, 0.005701990, 0.008541740, 0.009579594, 0.011670632, 0.015926137)
LAST, LAST_MSE = (0.7481164, 0.8040773, 0.6810870), (0.005484860, 0.009205133, 0.009903626)
#: Method of moments.
FIRST_MOMENTS = (1.017975, 1.044963, 1.064480, 0.770692, 0.852512, 0.973826, 1.050856)
LAST_MOMENTS = (0.747059, 0.799363, 0.683160)
