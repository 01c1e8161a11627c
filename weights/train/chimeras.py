"""Things that never were: one side of a drawing joined to the other side of another, and further drawings of the result.

Training has a thousand entities; whoever learns them by heart need not look at neighbours. Of chimeras there are as many as samples, so that
only looking helps, and as two drawings of one differ by a bend and a change of light alone, where each part belongs can be told for certain.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

BENDS = 3  # knots of a bend across the picture
MOST_STRETCH = 0.08  # of width and height, each for itself
MOST_BEND = 0.07  # greatest standard deviation of the knots' moves, shares of half the picture
MOST_LIGHT = 0.15  # contrast, and as much of the whole range in brightness


@dataclass
class Join:
    """The other drawing, and the line that parts the two: the angle it is passed at, and how far from the middle."""

    drawing: int
    angle: float
    offset: float


def draw_join(rng, drawing):
    """`rng`: a random.Random; `drawing`: the other one."""
    return Join(drawing, rng.uniform(0, 2 * math.pi), rng.uniform(-0.25, 0.25))


def joined(ours, others, joins):
    """[n, 4, S, S] twice -> the first, replaced by the second on the far side of each join's line."""
    ticks = (torch.arange(ours.shape[-1]) + 0.5) / ours.shape[-1] * 2 - 1
    angles = torch.tensor([join.angle for join in joins])[:, None, None]
    across = angles.cos() * ticks[None, None] + angles.sin() * ticks[None, :, None]
    beyond = across > torch.tensor([join.offset for join in joins])[:, None, None]
    return torch.where(beyond[:, None], others, ours)


def redrawn(pictures, noise):
    """Pictures [n, 3, S, S] on white, in [0, 255], each bent and lit in its own way; `noise`: a torch Generator."""
    count, side = len(pictures), pictures.shape[-1]
    stretch = 1 + MOST_STRETCH * (2 * torch.rand(count, 2, generator=noise) - 1)
    zero = torch.zeros(count)
    theta = torch.stack([torch.stack([stretch[:, 0], zero, zero], 1), torch.stack([zero, stretch[:, 1], zero], 1)], 1)
    knots = MOST_BEND * torch.rand(count, 1, 1, 1, generator=noise) * torch.randn(count, 2, BENDS, BENDS, generator=noise)
    bend = F.interpolate(knots, (side, side), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    where = F.affine_grid(theta, pictures.shape, align_corners=False) + bend
    # What lies outside is white.
    bent = 255 - F.grid_sample(255 - pictures, where, align_corners=False)
    contrast, light = (MOST_LIGHT * (2 * torch.rand(count, 1, 1, 1, generator=noise) - 1) for _ in range(2))
    lit = 127.5 + (bent - 127.5) * (1 + contrast) + 127.5 * light
    # The ground stays white, and what is nearly white nearly so.
    ground = (bent.amin(1, keepdim=True) / 255) ** 8
    return (ground * bent + (1 - ground) * lit).clamp(0, 255)
