"""Numbers of a row: hits with their intervals, Frechet and kernel distances of features."""

import numpy as np

RESAMPLES = 1000
COMPONENTS = 32  # of the features, for the Frechet distance


def interval(hits, clusters, seed=0):
    """Mean of hits and its 95% interval; entities are resampled, not pictures: two pictures of one entity tell less than two of two.

    hits [N]; clusters: name of each hit's entity. -> (mean, low, high)
    """
    sums, counts = by_cluster(hits, clusters)
    drawn = np.random.default_rng(seed).integers(0, len(sums), (RESAMPLES, len(sums)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    return float(sums.sum() / counts.sum()), *(float(value) for value in np.quantile(means, (0.025, 0.975)))


def ratio_interval(over, under, clusters, seed=0):
    """Ratio of two rows' means over the same entities, and its 95% interval; where `under` may be 0 the upper end is infinite."""
    top, counts = by_cluster(over, clusters)
    bottom, _ = by_cluster(under, clusters)
    drawn = np.random.default_rng(seed).integers(0, len(top), (RESAMPLES, len(top)))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.nan_to_num(top[drawn].sum(1) / bottom[drawn].sum(1), nan=1.0, posinf=np.inf)
        mean = float(top.sum() / bottom.sum()) if bottom.sum() else float("inf")
    return mean, *(float(value) for value in np.quantile(ratios, (0.025, 0.975), method="nearest"))


def by_cluster(hits, clusters):
    names = {name: i for i, name in enumerate(dict.fromkeys(clusters))}
    at = np.array([names[name] for name in clusters])
    sums = np.bincount(at, np.asarray(hits, float), len(names))
    return sums, np.bincount(at, minlength=len(names)).astype(float)


def principal(real):
    """Mean and the first directions of the real features, [D] and [D, COMPONENTS]: distances of whole covariances would need more
    pictures than features."""
    mean = real.mean(0)
    _, _, directions = np.linalg.svd(real - mean, full_matrices=False)
    return mean, directions[: min(COMPONENTS, len(directions))].T


def frechet(a, b):
    """Frechet distance of two Gaussians fitted to features [N, D]. Biased upwards for few pictures: compare rows of one size only,
    and with the distance of as many real ones."""
    (mean_a, cov_a), (mean_b, cov_b) = ((part.mean(0), np.cov(part, rowvar=False)) for part in (a, b))
    root = matrix_root(cov_a)
    cross = np.sqrt(np.clip(np.linalg.eigvalsh(root @ cov_b @ root), 0, None)).sum()
    return float(((mean_a - mean_b) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * cross)


def matrix_root(matrix):
    values, vectors = np.linalg.eigh(matrix)
    return vectors * np.sqrt(np.clip(values, 0, None)) @ vectors.T


def kernel_distance(a, b):
    """Squared maximum mean discrepancy under (x.y / D + 1)^3, the kernel inception distance's: unbiased at any number of pictures."""
    def kernel(x, y):
        return (x @ y.T / x.shape[1] + 1) ** 3

    def among(x):
        k = kernel(x, x)
        return (k.sum() - np.trace(k)) / (len(x) * (len(x) - 1))

    return float(among(a) + among(b) - 2 * kernel(a, b).mean())
