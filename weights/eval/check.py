"""Checks the evaluation's own arithmetic: `python3 check.py`. Prints one line a check; ends with an error at the first that fails."""

import math
import re
import tempfile
from pathlib import Path

import numpy as np
import torch

import metrics
from models import HERE  # first, as it says where the modules of training lie

import recogniser as judges
from art import read_art
from cases import cases_of, groups_of, noise_of
from databases import Database
from diffusion import v_of
from pngs import read_png
from png import write_png
from rows import all_rows, neighbours_of
from sampler import Settings, bases, draw, levels_of, update
from tokenizer import Tokenizer


def main():
    check_intervals()
    check_distances()
    check_steps()
    check_sampler()
    check_pictures()
    art = read_art(64)
    check_cases(art)
    check_databases(art)
    check_recogniser(art)


def check_intervals():
    """Intervals cover the truth as often as they say, also where pictures of one entity hang together."""
    rng, covered, rounds = np.random.default_rng(1), 0, 200
    for round_ in range(rounds):
        shares = rng.beta(2, 2, 40)
        clusters = [str(i) for i in range(40) for _ in range(4)]
        hits = rng.random(160) < shares.repeat(4)
        mean, low, high = metrics.interval(hits, clusters, round_)
        assert low <= mean <= high
        covered += low <= 0.5 <= high
    assert 0.89 < covered / rounds < 0.99, covered / rounds
    mean, low, high = metrics.ratio_interval([1, 1, 1, 0], [1, 0, 1, 0], ["a", "b", "c", "d"])
    assert mean == 1.5 and low <= 1.5 <= high
    assert metrics.ratio_interval([1, 1], [0, 0], ["a", "b"])[0] == math.inf
    print(f"intervals: the truth lies within {covered / rounds:.0%} of 95% intervals")


def check_distances():
    """Distances of Gaussians are those of the formulas; the kernel distance of two samples of one thing is zero on average."""
    rng = np.random.default_rng(2)
    a, b = rng.normal(0, 1, (40_000, 3)), rng.normal(0, 1, (40_000, 3)) * (1, 2, 3) + (1, 0, 0)
    expected = 1 + sum((1 - scale) ** 2 for scale in (1, 2, 3))
    assert abs(metrics.frechet(a, b) - expected) < 0.1 and metrics.frechet(a, a) < 1e-6
    pairs = [metrics.kernel_distance(rng.normal(0, 1, (60, 4)), rng.normal(0, 1, (60, 4))) for _ in range(200)]
    assert abs(np.mean(pairs)) < 3 * np.std(pairs) / math.sqrt(len(pairs)), "the kernel distance is biased"
    assert metrics.kernel_distance(a[:500], b[:500]) > 10 * np.std(pairs)
    few, many = (metrics.frechet(rng.normal(0, 1, (n, 3)), a) for n in (40, 4000))
    print(f"distances: as the formulas say; Frechet of 40 samples of the same {few:.2f}, of 4000 {many:.3f}")


def check_steps():
    """Guidance spreads as the engine's; without neighbours every step is text-enhanced."""
    for eta in (0.1, 0.4, 0.5, 0.6, 1.0):
        kinds = [base == (False, True) for base, _ in bases(Settings(eta=eta), True)]
        assert sum(kinds) == round(20 * eta), (eta, sum(kinds))
    assert [base for base, _ in bases(Settings(steps=4), True)] == [(True, False), (False, True)] * 2
    assert all(base == (False, True) for base, _ in bases(Settings(eta=0.1), False))
    assert all(base == (False, False) for base, _ in bases(Settings(mode="entangled"), True))
    print("guidance: the shares of text-enhanced steps are those asked for")


class Gaussian(torch.nn.Module):
    """The exact v of data that is normal with standard deviation `spread`: x0 given x is alpha spread^2 x / (alpha^2 spread^2 + sigma^2)."""

    def __init__(self, spread):
        super().__init__()
        self.spread = spread

    def forward(self, x, t, ids, seen, level):
        alpha, sigma = (part[:, None, None, None] for part in (torch.cos(t * math.pi / 2), torch.sin(t * math.pi / 2)))
        clean = alpha * self.spread**2 * x / (alpha**2 * self.spread**2 + sigma**2)
        return v_of(clean, t, x, "x0")


def check_sampler():
    """On data that is normal the flow's end is known, x spread; the solver comes to it faster than first-order steps would."""
    noise = torch.randn(64, 3, 4, 4, generator=torch.Generator().manual_seed(0)).double()
    ids = torch.ones(64, 4, dtype=torch.long)
    errors = {}
    for steps in (10, 20, 40):
        found = draw(Gaussian(0.2).double(), ids, None, noise, Settings(steps=steps, mode="none"))
        errors[steps] = float((found - (0.2 * noise).clamp(-1, 1)).square().mean().sqrt())
    assert errors[40] < errors[20] / 2 < errors[10] / 4 and errors[20] < 0.02, errors
    _, points = levels_of(20)
    cx, c0, c1 = update(points[4], points[5], points[6])
    assert abs(cx * points[5][0] + c0 + c1 - points[6][0]) < 1e-12, "a step does not keep a clean picture's share"
    print(f"sampler: errors on normal data {', '.join(f'{steps} steps {error:.4f}' for steps, error in errors.items())}")


def check_pictures():
    """PNG files are read as they were written, under every filter."""
    pixels = np.random.default_rng(3).integers(0, 256, (9, 7, 3)).astype(np.uint8)
    with tempfile.TemporaryDirectory() as name:
        write_png(Path(name) / "x.png", pixels)
        assert np.array_equal(read_png(Path(name) / "x.png"), pixels)
    sheet = HERE / "../emoji-64/example.sheet.png"
    assert read_png(sheet).std() > 20
    print("pictures: PNG files come back as they went")


def check_cases(art):
    """Groups hold what they say; the second held-out list is judged only when asked for; noise is the case's alone."""
    hidden = {*art.held_out["first"], *art.held_out["second"]}
    groups = groups_of(art, 60, False)
    assert set(groups) == {"frequent", "first"} and not hidden & set(groups["frequent"])
    assert set(groups_of(art, 60, True)["second"]) == set(art.held_out["second"])
    cases = cases_of("first", groups["first"], 2)
    assert len(cases) == 120 and cases == cases_of("first", groups["first"], 2)
    assert torch.equal(noise_of(cases, 8)[5], noise_of(cases[5:6], 8)[0])
    print("cases: groups are apart, and every case is repeatable")


def check_databases(art):
    """Every row finds what it is about."""
    whole = Database(art, range(len(art.entities)))
    sources = {name: whole for name in ("bm25", "foreign", "wrong", "each")}
    sources["style:twemoji"] = Database(art, [i for i, style in enumerate(art.styles) if style == "twemoji"])
    cases = {pairs: cases_of("first", sorted(art.held_out["first"]), 1, pairs) for pairs in (False, True)}
    right = {}
    for row in all_rows(["twemoji"], True):
        told = re.match(r"k = (\d)", row.name)
        assert told is None or int(told[1]) == row.k, f"{row.name} shows {row.k} neighbours"
        if row.source not in sources or row.k == 0:
            continue
        found = [(case, neighbours_of(row, case, sources)) for case in cases[row.pairs]]
        assert row.source == "style:twemoji" or all(len(near) == row.k for _, near in found), row.name
        named = [art.entities[i] in (case.entity, case.second) for case, near in found for i in near]
        right[row.name] = sum(named) / len(named)
        if row.source == "style:twemoji":
            assert all(art.styles[i] == "twemoji" for _, near in found for i in near)
        if row.source == "each":
            assert all([art.entities[i] for i in near] == [case.entity, case.second] for case, near in found)
    assert right["k = 2, foreign database"] == right["k = 2, wrong neighbours"] == 0 and right["k = 2"] > 0.95
    print(f"databases: of the default row {right['k = 2']:.0%} of neighbours are right, of foreign and wrong ones none")


def check_recogniser(art):
    """It learns: after a few steps on a few entities it does better than chance; its batches are repeatable."""
    judged = judges.Judged(art, Tokenizer(judges.TOKENIZER), 11)
    first, again = judged.batch(3, 6), judged.batch(3, 6)
    assert all(torch.equal(first[name], again[name]) for name in first) and first["x"].abs().max() <= 1
    torch.manual_seed(0)
    model = judges.Recogniser(judged.scenes.names, judged.scenes.kinds, judged.styles)
    few = judged.batch(0, 48)
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    for _ in range(12):
        error = torch.nn.functional.cross_entropy(model(few["x"])[1], few["scene"])
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
    hits = (model(few["x"])[1].argmax(1) == few["scene"]).float().mean().item()
    assert hits > 0.5, hits
    print(f"recogniser: after 12 steps on 48 scenes it names {hits:.0%} of their kinds")


if __name__ == "__main__":
    main()
