"""Vectors as they are kept: all have a length of 1, so that damage is noticed."""

import numpy as np
import numpy.typing as npt

_TOLERANCE = 0.01  # kept in 16 bits, they differ a little from 1


def are_whole(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Return whether each vector has a length of 1, or of 0 as that of a text without words: bool [vectors]."""
    with np.errstate(all="ignore"):
        lengths = np.einsum("ij,ij->i", vectors, vectors)
    whole: npt.NDArray[np.bool_] = (np.abs(lengths - 1) < _TOLERANCE) | (lengths == 0)  # NaN is neither
    return whole
