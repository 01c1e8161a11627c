"""The engine's noise: Philox 4x32-10 (Salmon et al., 2011) and Box & Muller (1958), element by element as `src/ops/random_normal.ts` says."""

import numpy as np
import torch

LOW_STREAM = 2**32 - 1  # of the noise on a super-resolution stage's smaller picture
MULTIPLIERS, WEYL, WORD = (0xD2511F53, 0xCD9E8D57), (0x9E3779B9, 0xBB67AE85), 0xFFFFFFFF


def noise_of_seed(seed, size, stream=0):
    """[1, 3, size, size] of standard normals; stream 0 is what a picture starts from."""
    blocks = -(-3 * size * size // 4)
    words = philox(np.arange(blocks, dtype=np.uint64), stream, (seed & WORD, seed >> 32))
    fractions = [word >> np.uint64(8) for word in words]
    pairs = []
    for u, turn in (fractions[:2], fractions[2:]):
        radius, angle = np.sqrt(-2 * np.log((u + np.uint64(1)) / 2**24)), 2 * np.pi * turn / 2**24
        pairs += [radius * np.cos(angle), radius * np.sin(angle)]
    values = np.stack(pairs, 1).ravel()[: 3 * size * size]
    return torch.from_numpy(values.reshape(1, size, size, 3).astype(np.float32)).permute(0, 3, 1, 2).contiguous()


def philox(first, second, key):
    """Four words (uint64 arrays) at counters (first, second, 0, 0)."""
    a, b, c, d = first, np.full_like(first, second), np.zeros_like(first), np.zeros_like(first)
    low, bits = np.uint64(WORD), np.uint64(32)
    for round_ in range(10):
        keys = [np.uint64((word + round_ * weyl) & WORD) for word, weyl in zip(key, WEYL)]
        product0, product1 = (word * np.uint64(m) for word, m in zip((a, c), MULTIPLIERS))
        a, b, c, d = (product1 >> bits) ^ b ^ keys[0], product1 & low, (product0 >> bits) ^ d ^ keys[1], product0 & low
    return a, b, c, d
