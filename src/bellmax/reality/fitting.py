"""Numbers that make predictions fit what was measured: by gradients, or by CMA-ES where there are none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

DISTINCT = 1e-4  # ratio of singular values below which parameters are not told apart; float32's rounding is at 1e-6
STEP = 1e-3  # of the logarithm of a parameter, where derivatives are differences
FIRST_SPREAD = 0.3  # CMA-ES's first standard deviation, of the logarithm


class Model(NamedTuple):
    """What is fitted: predictions [n, k] as a function of parameters [p], all positive."""

    names: tuple[str, ...]
    start: np.ndarray  # [p]
    predict: Callable[[np.ndarray], np.ndarray]
    predict_all: Callable[[np.ndarray], np.ndarray]  # [many, p] -> [many, n, k]
    derivative: Callable[[np.ndarray], np.ndarray] | None  # [p] -> [n, k, p]; None where there is none


class Fit(NamedTuple):
    """What was found."""

    values: np.ndarray  # [p]
    errors: np.ndarray  # [p], standard errors, relative
    predictions: int  # of the whole log


class Indistinct(ValueError):
    """What was measured does not tell some parameters apart; the message names them."""


def least_squares(model: Model, target: np.ndarray) -> Fit:
    """Minimise the whitened squared error over the logarithms of the parameters, by Gauss-Newton steps.

    Twice: the second time with errors weighed by the covariance of what the first left over (feasible generalised least
    squares; Aitken, 1936), because noise is not alike, and not independent, in what is observed.
    """
    import scipy.optimize

    whitener, logs, count = _by_change(model, target), np.zeros(len(model.start)), 0
    for _ in range(2):

        def errors(logs: np.ndarray, whitener: np.ndarray = whitener) -> np.ndarray:
            return ((model.predict(model.start * np.exp(logs)) - target) @ whitener).ravel()

        def slopes(logs: np.ndarray, whitener: np.ndarray = whitener) -> np.ndarray:
            return _slopes(model, logs, whitener)

        found = scipy.optimize.least_squares(errors, logs, jac=slopes, xtol=1e-6, ftol=1e-9, gtol=1e-12)
        logs, count = found.x, count + found.nfev
        whitener = _by_covariance(model.predict(model.start * np.exp(logs)) - target, target)
    return Fit(model.start * np.exp(logs), _standard_errors(model, logs, whitener), count)


def cma_es(model: Model, target: np.ndarray, *, seed: int = 0, predictions: int = 1000) -> Fit:
    """The same by the covariance matrix adaptation evolution strategy, at most so many predictions of the whole log.

    Hansen & Ostermeier, Completely derandomized self-adaptation in evolution strategies, 2001
    (https://doi.org/10.1162/106365601750190398), as in the package `cma` (Hansen, Akimoto & Baudis). It does
    not apply to one parameter: then a second one is added, which does nothing.
    """
    try:
        import cma
    except ImportError as error:
        raise ImportError(f'method = "cma" needs cma ({error}): pip install "bellmax[cma]"') from error
    count, size, logs = 0, len(model.start), np.zeros(max(len(model.start), 2))
    whitener = _by_change(model, target)
    for share, spread in ((0.6, FIRST_SPREAD), (0.4, 0.05)):
        limit = {"maxfevals": int(share * predictions), "tolx": 1e-5, "tolfun": 1e-12}
        search = cma.CMAEvolutionStrategy(logs, spread, {"seed": seed + 1, "verbose": -9, **limit})
        while not search.stop():
            asked = search.ask()
            guesses = model.predict_all(model.start * np.exp(np.array(asked)[:, :size]))
            costs = np.square((guesses - target) @ whitener).mean((1, 2))
            search.tell(asked, [float(cost) if np.isfinite(cost) else 1e30 for cost in costs])
            count += len(asked)
        logs = search.result.xbest
        whitener = _by_covariance(model.predict(model.start * np.exp(logs[:size])) - target, target)
    logs = logs[:size]
    return Fit(model.start * np.exp(logs), _standard_errors(model, logs, whitener), count)


def _slopes(model: Model, logs: np.ndarray, whitener: np.ndarray) -> np.ndarray:
    """Derivatives of the whitened errors by the logarithms, [n k, p]."""
    values = model.start * np.exp(logs)
    if model.derivative is not None:
        slopes = model.derivative(values) * values
    else:
        sides = np.exp(np.array([[1], [-1]]) * STEP)[..., None] ** np.eye(len(logs))  # [2, p, p]
        above, below = (model.predict_all(values * side) for side in sides)
        slopes = np.moveaxis((above - below) / (2 * STEP), 0, -1)
    return np.einsum("nkp,kj->njp", slopes, whitener).reshape(-1, len(logs))


def _standard_errors(model: Model, logs: np.ndarray, whitener: np.ndarray) -> np.ndarray:
    """Relative standard errors from the curvature at the optimum. Raises Indistinct where there is next to none."""
    _, sizes, directions = np.linalg.svd(_slopes(model, logs, whitener), full_matrices=False)
    if not sizes[0] or sizes[-1] < DISTINCT * sizes[0]:
        raise Indistinct(_which(model.names, directions[-1], sizes))
    return np.sqrt(np.square(directions / sizes[:, None]).sum(0))


def _which(names: Sequence[str], direction: np.ndarray, sizes: np.ndarray) -> str:
    involved = [name for name, share in zip(names, direction) if abs(share) > 0.1]
    if len(involved) == 1:
        return f"what was measured says nothing of {involved[0]}: leave it out, or measure where it matters."
    strongest = abs(direction).max()
    powers = ", ".join(f"{name} by t^{direction[names.index(name)] / strongest:.2g}" for name in involved)
    return (
        f"what was measured does not tell {', '.join(involved)} apart: they can all change, {powers}, and "
        "nothing that is observed does. Fix one of them at a value that you know."
    )


def _by_change(model: Model, target: np.ndarray) -> np.ndarray:
    """Divide each number by how far the first predictions are off, which makes them alike, [k, k]."""
    off = model.predict(model.start) - target
    if not np.isfinite(off).all():
        raise ValueError("predictions with the first values are not finite: begin with others, or look for NaN.")
    scale = np.maximum(off.std(0), 1e-6 * np.maximum(target.std(0), 1e-12))
    return np.diag(1 / scale)


def _by_covariance(off: np.ndarray, target: np.ndarray) -> np.ndarray:
    """A matrix after which the errors have unit covariance, [k, k]. The floor is what float32 rounds."""
    floor = np.diag(np.square(1e-6 * np.maximum(np.abs(target).max(0), 1e-6)))
    covariance = off.T @ off / len(off) + floor
    return np.linalg.cholesky(np.linalg.inv(covariance))
