"""From thickness to the displayed film: attenuation, scatter, film curve, edge enhancement, blur and noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from medground.data.phantom.grid import Array, Grid, resized

_MU_PER_CM = np.float32(0.17)  # water, effective over a filtered 110-125 kVp beam
_COARSE = 4


@dataclass(frozen=True)
class Exposure:
    """How one film was taken and shown.

    Attributes:
        scatter: scattered over primary radiation, behind an average path.
        lung: display level of the lung, 0..1.
        centre: display level of the mediastinum, 0..1.
        toe: how fast the film goes black under air, relative to a straight curve.
        gamma: below 1, soft tissue is shown closer to the mediastinum than to the lung.
        enhance: strength of the edge enhancement.
        enhance_cm: its width.
        blur_cm: sharpness of focus and detector.
        noise: standard deviation of the log exposure behind lung.
        grain_px: correlation of the noise.
    """

    scatter: float
    lung: float
    centre: float
    toe: float
    gamma: float
    enhance: float
    enhance_cm: float
    blur_cm: float
    noise: float
    grain_px: float


def draw_exposure(rng: np.random.Generator) -> Exposure:
    """Draw the technique of one film."""
    u = rng.uniform
    return Exposure(
        scatter=u(0.2, 1.1),
        lung=u(0.12, 0.5),
        centre=u(0.74, 0.95),
        toe=u(0.5, 1.2),
        gamma=u(0.45, 0.85),
        enhance=max(0.0, u(-0.1, 0.55)),
        enhance_cm=u(0.8, 3.0),
        blur_cm=u(0.015, 0.05),
        noise=float(np.exp(u(np.log(0.007), np.log(0.02)))),
        grain_px=u(0.45, 0.9),
    )


@dataclass(frozen=True)
class FilmCurve:
    """The characteristic curve: log attenuation to display level, steady in slope, level at both ends."""

    lung_log: float
    centre_log: float
    exposure: Exposure

    def __call__(self, log_attenuation: Array) -> Array:
        """Display level 0..1 of each log attenuation."""
        e = self.exposure
        z = np.linspace(-4, 4, 4096, dtype=np.float32)
        slope = e.centre - e.lung
        bent = (np.power(np.clip(z, 0, 1) + 0.15, e.gamma) - 0.15**e.gamma) / (1.15**e.gamma - 0.15**e.gamma)
        low = e.lung * np.exp(np.minimum(z, 0) * e.toe * slope / e.lung)
        high = 1 - (1 - e.centre) * np.exp(-np.maximum(z - 1, 0) * e.gamma * slope / (1 - e.centre))
        curve = np.where(z < 0, low, np.where(z > 1, high, e.lung + slope * bent)).astype(np.float32)
        place = (log_attenuation - np.float32(self.lung_log)) * np.float32(1 / (self.centre_log - self.lung_log))
        index = np.clip((place + 4) * np.float32(4095 / 8), 0, 4094)
        whole = index.astype(np.int32)
        part = index - whole.astype(np.float32)
        return np.asarray(curve[whole] * (1 - part) + curve[whole + 1] * part, np.float32)


def _log_attenuation(thickness: Array, scatter: Array) -> Array:
    return np.asarray(-np.log(np.exp(-_MU_PER_CM * thickness) + scatter), np.float32)


def _scatter(thickness: Array, grid: Grid, exposure: Exposure) -> Array:
    """Scattered radiation, a broad blur of the primary, at the grid's coarse size."""
    primary = np.exp(-_MU_PER_CM * np.minimum(resized(thickness, grid.size_px // _COARSE), 40))
    behind = primary * (1 - primary) ** 2  # the open beam beside the patient scatters nothing
    sigma = 4.0 / (grid.px_cm * _COARSE)
    wide = ndimage.uniform_filter(behind, int(sigma * 3) | 1, mode="nearest")
    return np.asarray(
        np.float32(exposure.scatter) * ndimage.uniform_filter(wide, int(sigma * 2) | 1, mode="nearest"), np.float32
    )


def film_curve(healthy: Array, air: Array, grid: Grid, exposure: Exposure) -> FilmCurve:
    """Fit the curve to the healthy patient, so that a lesion does not change how the rest of the film looks.

    Args:
        healthy: thickness without lesions, (rows, columns), cm.
        air: aerated lung, cm, same shape.
        grid: the film.
        exposure: wanted display levels.

    Returns:
        The curve.
    """
    small = resized(healthy, grid.size_px // _COARSE)
    log = _log_attenuation(small, _scatter(healthy, grid, exposure))
    lung = log[resized(air, grid.size_px // _COARSE) > 6]
    body = log[small > 5]
    return FilmCurve(float(np.percentile(lung, 30)), float(np.percentile(body, 88)), exposure)


def expose(thickness: Array, grid: Grid, curve: FilmCurve, rng: np.random.Generator) -> Array:
    """Take the film.

    Args:
        thickness: water-equivalent path, (rows, columns), cm.
        grid: the film.
        curve: characteristic curve with its exposure.
        rng: stream of the noise.

    Returns:
        (rows, columns), display intensity 0..1, white dense.
    """
    exposure = curve.exposure
    scatter = resized(_scatter(thickness, grid, exposure), grid.size_px)
    log = _log_attenuation(thickness, scatter)
    log = ndimage.gaussian_filter(log, max(exposure.blur_cm / grid.px_cm, 0.3), truncate=2.5)
    grain = rng.standard_normal(log.shape, dtype=np.float32)
    sigma = exposure.grain_px
    grain = ndimage.gaussian_filter(grain, sigma, truncate=2) * np.float32(1.8 * sigma + 0.4)
    dark = np.exp(np.minimum(0.5 * (log - np.float32(curve.lung_log)), 1.2))
    log += np.float32(exposure.noise) * grain * dark
    shown = curve(log)
    if exposure.enhance > 0:
        width = exposure.enhance_cm / grid.px_cm / 2
        soft = ndimage.gaussian_filter(resized(shown, grid.size_px // 2), width / 2, truncate=2.5)
        shown = shown + np.float32(exposure.enhance) * (shown - resized(soft, grid.size_px))
    return np.clip(shown, 0, 1)
