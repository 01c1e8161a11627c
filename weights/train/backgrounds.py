"""Procedural backgrounds of any size, and the words that ask for them."""

import numpy as np

COLORS = dict(
    red=(214, 40, 40), orange=(245, 150, 40), yellow=(250, 215, 70), green=(70, 170, 80), blue=(50, 100, 210),
    purple=(130, 70, 180), pink=(250, 160, 190), white=(255, 255, 255), black=(20, 20, 24), gray=(150, 150, 155),
    brown=(120, 80, 50), turquoise=(60, 190, 190),
)  # fmt: skip

# What captions say; every word is in the tokenizer's vocabulary.
SCENES = dict(
    grass=("on the grass", "in a meadow", "on a green lawn"),
    beach=("on the beach", "on the sand by the sea"),
    snow=("in the snow", "on a snowy field"),
    night=("under a starry night sky", "at night under the stars"),
    desert=("in the desert", "on a sand dune"),
    underwater=("underwater", "under the sea"),
    sunset=("at sunset", "in front of a sunset"),
    space=("in space", "in outer space"),
    room=("in a room", "indoors on a wooden floor"),
    table=("on a wooden table", "served on a table"),
    moon=("on the moon", "on the surface of the moon"),
    road=("on a road", "on the street"),
    mountain=("in the mountains", "in front of a mountain"),
    rain=("in the rain", "on a rainy day"),
    checker=("on a checkered background", "on a checkerboard"),
    stripes=("on a striped background", "in front of stripes"),
)

# Scenes with a floor: a drawing stands on it and casts a shadow.
FLOORS = frozenset("grass beach snow night desert sunset room table moon road mountain rain".split())

# Drawn this many times finer and averaged, so that edges are smooth.
OVERSAMPLING = 2


def draw_background(kind, size, rng):
    """One background, uint8 [3, size, size]; `kind` is a color or a scene; `rng` a numpy Generator."""
    fine = size * OVERSAMPLING
    canvas = Canvas(fine, rng)
    picture = canvas.plain(COLORS[kind], 14) if kind in COLORS else PAINTERS[kind](canvas)
    picture = np.clip(picture, 0, 255).reshape(size, OVERSAMPLING, size, OVERSAMPLING, 3).mean((1, 3))
    return (picture + 0.5).astype(np.uint8).transpose(2, 0, 1)


class Canvas:
    """Coordinates from 0 to 1 and what painters share."""

    def __init__(self, side, rng):
        self.side, self.rng = side, rng
        self.y, self.x = np.mgrid[0:side, 0:side].astype(np.float32) / (side - 1)

    def color(self, rgb, spread=18):
        return np.clip(np.array(rgb, np.float32) + self.rng.uniform(-spread, spread, 3), 0, 255).astype(np.float32)

    def plain(self, rgb, spread):
        return np.broadcast_to(self.color(rgb, spread), (self.side, self.side, 3)).copy()

    def fade(self, top, bottom, begin=0.0, end=1.0):
        """From one color to another between two heights."""
        share = np.clip((self.y - begin) / (end - begin), 0, 1)[..., None]
        top = self.color(top)
        return top + (self.color(bottom) - top) * share

    def horizon(self, sky, ground, height, waves=0.02):
        """Two fades, `sky` and `ground` (top, bottom), that meet at a wavy line. -> picture, its line [side, side]."""
        line = height + waves * np.sin(self.x * self.rng.uniform(3, 9) + self.rng.uniform(0, 6))
        above, below = self.fade(*sky, 0, height), self.fade(*ground, height, 1)
        return np.where((self.y < line)[..., None], above, below), line

    def disc(self, x, y, radius, flat=1.0):
        return (self.x - x) ** 2 + ((self.y - y) * flat) ** 2 < radius * radius

    def dots(self, picture, count, rgb, region=(0, 1), radius=(0.006, 0.013)):
        """Stars or flakes: small discs between two heights."""
        for _ in range(count):
            x, y = self.rng.uniform(0, 1), self.rng.uniform(*region)
            picture[self.disc(x, y, self.rng.uniform(*radius))] = rgb


def grass(c):
    sky, ground = ((130, 200, 245), (200, 230, 250)), ((110, 190, 70), (60, 140, 50))
    return c.horizon(sky, ground, c.rng.uniform(0.5, 0.68))[0]


def beach(c):
    height = c.rng.uniform(0.5, 0.62)
    picture, _ = c.horizon(((120, 195, 245), (190, 225, 250)), ((245, 225, 170), (225, 195, 130)), height)
    picture[(c.y > height - 0.13) & (c.y < height + 0.02 * np.sin(c.x * 9))] = c.color((50, 140, 200))
    return picture


def snow(c):
    sky, ground = ((150, 185, 220), (215, 225, 235)), ((245, 248, 252), (225, 232, 242))
    picture, _ = c.horizon(sky, ground, c.rng.uniform(0.5, 0.68))
    c.dots(picture, 40, 255)
    return picture


def night(c):
    height = c.rng.uniform(0.72, 0.85)
    picture, _ = c.horizon(((10, 12, 45), (40, 40, 95)), ((25, 45, 35), (12, 25, 22)), height)
    c.dots(picture, 35, (250, 250, 220), (0, 0.7))
    return picture


def desert(c):
    sky, ground = ((245, 205, 150), (250, 225, 180)), ((230, 180, 100), (200, 140, 70))
    return c.horizon(sky, ground, c.rng.uniform(0.5, 0.68), 0.06)[0]


def underwater(c):
    picture = c.fade((70, 180, 220), (10, 50, 120))
    picture += (12 * np.sin(c.x * 14 + c.y * 6 + c.rng.uniform(0, 6)))[..., None]
    for _ in range(c.rng.integers(3, 8)):
        picture[c.disc(c.rng.uniform(0, 1), c.rng.uniform(0, 1), c.rng.uniform(0.01, 0.025))] += 45
    return picture


def sunset(c):
    height = c.rng.uniform(0.65, 0.75)
    picture, line = c.horizon(((80, 50, 120), (255, 150, 70)), ((70, 45, 60), (35, 25, 40)), height)
    picture[c.disc(c.rng.uniform(0.25, 0.75), 0.62, 0.12) & (c.y < line)] = (255, 225, 120)
    return picture


def space(c):
    picture = c.plain((8, 6, 24), 6)
    for _ in range(3):
        c.dots(picture, 18, c.rng.uniform(140, 255))
    planet = c.disc(c.rng.uniform(0.1, 0.9), c.rng.uniform(0.05, 0.3), c.rng.uniform(0.06, 0.12))
    picture[planet] = c.color((200, 120, 90), 60)
    return picture


def room(c):
    height = c.rng.uniform(0.62, 0.72)
    picture, _ = c.horizon(((235, 220, 200), (225, 205, 185)), ((170, 115, 70), (140, 90, 50)), height, 0)
    boards = ((c.x * 8).astype(int) % 2) * (c.y > height)
    return picture - (10 * boards)[..., None]


def table(c):
    height = c.rng.uniform(0.4, 0.5)
    picture, _ = c.horizon(((205, 215, 225), (190, 200, 210)), ((185, 125, 75), (150, 95, 55)), height, 0)
    grain = np.sin(c.y * 60 + 2 * np.sin(c.x * 5)) * (c.y > height)
    return picture - (8 * grain)[..., None]


def moon(c):
    height = c.rng.uniform(0.55, 0.65)
    picture, _ = c.horizon(((5, 5, 15), (15, 15, 30)), ((190, 190, 195), (150, 150, 158)), height, 0.03)
    c.dots(picture, 25, 255, (0, 0.5))
    for _ in range(4):
        picture[c.disc(c.rng.uniform(0, 1), c.rng.uniform(0.72, 0.95), c.rng.uniform(0.04, 0.1), 2.2)] = (130, 130, 138)
    return picture


def road(c):
    height = c.rng.uniform(0.5, 0.6)
    picture, _ = c.horizon(((150, 205, 240), (205, 230, 245)), ((95, 95, 100), (70, 70, 75)), height, 0)
    dashes = (np.abs(c.y - 0.82) < 0.02) & ((c.x * 6 + c.rng.uniform(0, 2)).astype(int) % 2 == 0)
    picture[dashes] = (245, 240, 200)
    return picture


def mountain(c):
    height = c.rng.uniform(0.65, 0.75)
    picture, line = c.horizon(((140, 195, 240), (210, 230, 245)), ((95, 150, 80), (65, 115, 60)), height)
    for _ in range(3):
        center, width, peak = c.rng.uniform(0, 1), c.rng.uniform(0.3, 0.5), c.rng.uniform(0.15, 0.35)
        slope = peak + np.abs(c.x - center) / width * 0.5
        rock = (c.y > slope) & (c.y < line)
        picture[rock] = c.color((110, 110, 125), 10)
        picture[rock & (c.y < slope + 0.07)] = (245, 245, 250)
    return picture


def rain(c):
    sky, ground = ((95, 105, 120), (140, 150, 160)), ((85, 100, 85), (60, 75, 65))
    picture, _ = c.horizon(sky, ground, c.rng.uniform(0.5, 0.68))
    for _ in range(45):
        x, y = c.rng.uniform(0, 1), c.rng.uniform(0, 0.92)
        picture[(np.abs(c.x - x) < 0.006) & (c.y > y) & (c.y < y + 0.08)] = (175, 195, 220)
    return picture


def two_colors(c):
    first, second = c.rng.choice(list(COLORS), 2, replace=False)
    return c.color(COLORS[first]), c.color(COLORS[second])


def checker(c):
    tiles = c.rng.integers(4, 7)
    odd = ((c.x * tiles).astype(int) + (c.y * tiles).astype(int)) % 2
    return np.where((odd == 0)[..., None], *two_colors(c))


def stripes(c):
    count, angle = c.rng.integers(4, 8), c.rng.uniform(0, np.pi)
    waves = np.sin((c.x * np.cos(angle) + c.y * np.sin(angle)) * count * np.pi)
    return np.where((waves > 0)[..., None], *two_colors(c))


PAINTERS = dict(
    grass=grass, beach=beach, snow=snow, night=night, desert=desert, underwater=underwater, sunset=sunset, space=space,
    room=room, table=table, moon=moon, road=road, mountain=mountain, rain=rain, checker=checker, stripes=stripes,
)  # fmt: skip
