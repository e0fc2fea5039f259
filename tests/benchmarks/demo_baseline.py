"""How well intensities alone separate the classes of the demo set: a logistic regression.

    python tests/benchmarks/demo_baseline.py

Features of each patch: mean, standard deviation, skewness, kurtosis and nine percentiles. To make
the baseline strong, the brightness of the center is added: raw, relative to the patch, and as a
rank. A network is worthwhile if its accuracy is at least three percentage points higher. The
strength of the penalty is chosen on the validation split.
"""

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from search.data import DataSettings, PreparedSet, prepare

PERCENTILES = (0, 5, 10, 25, 50, 75, 90, 95, 100)
PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0)


def intensity_statistics(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return features of each patch that ignore where most pixels lie, shape `(n, 17)`."""
    flat = images.reshape(len(images), -1).astype(np.float64)
    mean, std = flat.mean(axis=1), flat.std(axis=1) + 1e-9
    scores = (flat - mean[:, None]) / std[:, None]
    moments = np.stack([mean, std, (scores**3).mean(axis=1), (scores**4).mean(axis=1)], axis=1)
    percentiles = np.percentile(flat, PERCENTILES, axis=1).T
    return np.concatenate([moments, percentiles, _center_statistics(images, flat, mean, std)], 1)


def _center_statistics(
    images: NDArray[np.uint8],
    flat: NDArray[np.float64],
    mean: NDArray[np.float64],
    std: NDArray[np.float64],
) -> NDArray[np.float64]:
    middle = images.shape[1] // 2
    center = images[:, middle - 1 : middle + 2, middle - 1 : middle + 2]
    brightness = center.reshape(len(images), -1).mean(axis=1)
    relative = (brightness - mean) / std
    rank = (flat < brightness[:, None]).mean(axis=1)
    return np.stack([brightness, relative, np.abs(relative), rank], axis=1)


def baseline_accuracies(prepared: PreparedSet) -> tuple[float, float]:
    """Return the validation and test accuracy of the penalty that is best in validation."""
    features = {s: intensity_statistics(prepared.images(s)) for s in ("train", "val", "test")}
    models = [
        make_pipeline(StandardScaler(), LogisticRegression(C=penalty, max_iter=5000)).fit(
            features["train"], prepared.labels("train")
        )
        for penalty in PENALTIES
    ]
    best = max(models, key=lambda model: model.score(features["val"], prepared.labels("val")))
    return (
        float(best.score(features["val"], prepared.labels("val"))),
        float(best.score(features["test"], prepared.labels("test"))),
    )


def main() -> None:
    """Print both accuracies."""
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepare(DataSettings(source="demo"), Path(folder))
        val, test = baseline_accuracies(prepared)
    print(f"logistic regression on intensity statistics: val {val:.3f}, test {test:.3f}")


if __name__ == "__main__":
    main()
