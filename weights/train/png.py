"""Writes PNG files with the standard library alone."""

import struct
import zlib

import numpy as np


def write_png(path, pixels):
    """pixels: uint8 [H, W, 3]."""
    height, width, _ = pixels.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], 1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b"")):
            file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))


def grid(rows, scale=1):
    """rows: list of [N, 3, H, W] in [-1, 1], one a row of the sheet -> uint8 [H', W', 3]."""
    sheet = np.concatenate([np.concatenate(list(row), 2) for row in rows], 1)
    pixels = np.clip((sheet + 1) * 127.5 + 0.5, 0, 255).astype(np.uint8).transpose(1, 2, 0)
    return pixels.repeat(scale, 0).repeat(scale, 1)
