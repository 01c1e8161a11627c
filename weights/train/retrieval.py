"""Neighbours for training: BM25 over the drawings themselves, without the drawing itself, filtered at both tails.

The ranking is that of `src/retrieval` (Lucene's BM25, the same terms): what training sees is what a prompt will find.
"""

import math
import re
import unicodedata
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from art import on_white

K1, B = 1.2, 0.75
STOP_WORDS = set("a an the or of to is it its some thi that s t".split())
PREPOSITIONS = set(
    "above against among and around at before behind below beneath beside between by in inside near next on outside over "
    "under with".split()
)
# How far down the ranking to look, and how many of the nearest other entities are kept as wrong neighbours.
DEPTH, WRONG = 64, 8
DESCRIPTOR_SIDE = 16


@dataclass
class Neighbours:
    """For each drawing i: `matches[i]`, drawings of what it shows that pass both filters, and how far from it they are; `wrong[i]`, the best of
    other entities."""

    matches: list
    distances: list
    wrong: list
    near: float  # distances of the filters
    far: float
    descriptors: np.ndarray


def find_neighbours(art, names, tails):
    """BM25 by the entity's name for every drawing of the entities `names`, over those drawings alone.

    tails: of the distances between two drawings of one entity, the shares that are too near (nearly the same artwork) and too far.
    """
    visible = [i for name in names for i in art.of_entity[name]]
    ranking = Bm25([document_terms(art.entities[i], art.tags[i]) for i in visible])
    descriptors = describe(art)
    near, far = bounds(art, descriptors, *tails)
    matches, distances, wrong = ([[] for _ in art.entities] for _ in range(3))
    for name in names:
        found = [visible[hit] for hit in ranking.search(subject_terms(name), DEPTH)]
        own = [j for j in found if art.entities[j] == name]
        others = [j for j in found if art.entities[j] != name][:WRONG]
        for i in art.of_entity[name]:
            found = [(j, distance(descriptors, i, j)) for j in own if j != i]
            found = [(j, apart) for j, apart in found if near < apart < far]
            matches[i], distances[i] = [j for j, _ in found], [apart for _, apart in found]
            wrong[i] = others
    return Neighbours(matches, distances, wrong, near, far, descriptors)


class Bm25:
    """Lucene's BM25 (k1 = 1.2, b = 0.75) over documents that are lists of terms."""

    def __init__(self, documents):
        lengths = np.array([len(terms) for terms in documents], float)
        self.norms = K1 * (1 - B + B * lengths / lengths.mean())
        self.postings = {}
        for number, terms in enumerate(documents):
            for term in set(terms):
                self.postings.setdefault(term, []).append((number, terms.count(term)))

    def search(self, terms, k):
        """Numbers of the best k documents that share a term, best first, ties by number."""
        scores = self.scores(terms)
        order = np.argsort(-scores, kind="stable")[:k]
        return [int(number) for number in order if scores[number] > 0]

    def scores(self, terms):
        """Of every document."""
        scores = np.zeros(len(self.norms))
        for term in terms:
            found = np.array(self.postings.get(term, ()), int).reshape(-1, 2)
            numbers, counts = found[:, 0], found[:, 1]
            idf = math.log(1 + (len(scores) - len(found) + 0.5) / (len(found) + 0.5))
            scores[numbers] += idf * counts / (counts + self.norms[numbers])
        return scores


def document_terms(entity, tags):
    """The entity's words twice, the whole name as a term, its tags."""
    words = folded(entity)
    content = [word for word in words if is_content(word)]
    return [*content, *content, name_term(words), *(w for tag in tags for w in folded(tag) if is_content(w))]


def subject_terms(name):
    """The terms of a prompt that names this entity: its words and its whole name, twice."""
    words = folded(name)
    return [*(word for word in words if is_content(word)), name_term(words)] * 2


def name_term(words):
    return "=" + " ".join(words)


def is_content(word):
    return word not in STOP_WORDS and word not in PREPOSITIONS


def folded(text):
    """Words in lower case without accents, plurals folded."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)).lower()
    return [fold_plural(word) for word in re.findall(r"[^\W_]+", plain)]


def fold_plural(word):
    if len(word) < 4:
        return word
    word = re.sub(r"(?<![sui])s$", "", word)
    word = re.sub(r"ie$", "y", word)
    word = re.sub(r"[vf]e$", "f", word)
    return re.sub(r"(?:(?<=[sxzo])|(?<=ch)|(?<=sh))e$", "", word)


def describe(art):
    """A small picture of each drawing, cropped to what can be seen, on white: float [N, 3 * 16 * 16] in [0, 1]."""
    left, top, right, bottom = art.boxes.T
    half = torch.maximum(right - left, bottom - top) / 2
    zero = torch.zeros_like(half)
    rows = (torch.stack([half, zero, (left + right) / 2], 1), torch.stack([zero, half, (top + bottom) / 2], 1))
    grids = F.affine_grid(torch.stack(rows, 1), (len(half), 3, 32, 32), align_corners=False)
    parts = []
    for begin in range(0, len(half), 1024):
        part = slice(begin, begin + 1024)
        # From 64 pixels a side at every size, so that the filters hold the same pairs apart.
        whole = F.interpolate(255 - on_white(art.take(part)), 64, mode="area")
        small = F.grid_sample(whole, grids[part], align_corners=False)
        parts.append(1 - F.avg_pool2d(small, 32 // DESCRIPTOR_SIDE).flatten(1) / 255)
    return torch.cat(parts).numpy()


def distance(descriptors, i, j):
    """Root mean square difference of two drawings' descriptors."""
    return float(np.sqrt(np.mean((descriptors[i] - descriptors[j]) ** 2)))


def bounds(art, descriptors, too_near, too_far):
    """The distances below which a pair is nearly one artwork and above which it hardly shows one thing; a share of 0 bounds nothing."""
    found = [
        distance(descriptors, i, j)
        for name in art.trained
        for n, i in enumerate(art.of_entity[name])
        for j in art.of_entity[name][:n]
    ]
    near = float(np.quantile(found, too_near)) if too_near else -math.inf
    far = float(np.quantile(found, 1 - too_far)) if too_far else math.inf
    return near, far
