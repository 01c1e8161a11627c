"""Reads PNG files with the standard library alone: 8 bits a channel, RGB or RGBA, not interlaced, as the engine writes them."""

import struct
import zlib

import numpy as np


def read_png(path):
    """-> uint8 [H, W, 3]; alpha is laid on white. Raises ValueError for other kinds of PNG."""
    raw = open(path, "rb").read()
    if raw[:8] != b"\x89PNG\r\n\x1a\n":
        raise ValueError(f"{path} is not a PNG file")
    at, data = 8, b""
    while at < len(raw):
        (length,), kind = struct.unpack(">I", raw[at : at + 4]), raw[at + 4 : at + 8]
        chunk = raw[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, color, _, _, interlaced = struct.unpack(">IIBBBBB", chunk)
        elif kind == b"IDAT":
            data += chunk
        at += length + 12
    channels = {2: 3, 6: 4}.get(color)
    if depth != 8 or not channels or interlaced:
        raise ValueError(f"{path}: a PNG of {depth} bits and color type {color} is not read here")
    rows = np.frombuffer(zlib.decompress(data), np.uint8).reshape(height, 1 + width * channels)
    pixels = unfiltered(rows, channels).reshape(height, width, channels).astype(float)
    alpha = pixels[..., 3:] / 255 if channels == 4 else 1
    return (pixels[..., :3] * alpha + 255 * (1 - alpha)).round().astype(np.uint8)


def unfiltered(rows, step):
    """Undoes each row's filter (PNG, section 9)."""
    found = np.zeros((len(rows), rows.shape[1] - 1 + step), int)
    above = np.zeros(found.shape[1], int)
    for y, row in enumerate(rows):
        kind, line = row[0], found[y]
        for i, value in enumerate(row[1:].tolist(), step):
            left, up, corner = line[i - step], above[i], above[i - step]
            guess = (0, left, up, (left + up) // 2, paeth(left, up, corner))[kind]
            line[i] = (value + guess) % 256
        above = line
    return found[:, step:].astype(np.uint8)


def paeth(left, up, corner):
    guess = left + up - corner
    return min((abs(guess - left), 0, left), (abs(guess - up), 1, up), (abs(guess - corner), 2, corner))[2]
