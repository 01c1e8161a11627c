"""What a row retrieves: a database of some of the drawings, searched by words or by vectors, as the engine does."""

import torch

from art import on_white
from prompts import EntityNames
from retrieval import Bm25, document_terms
from retriever_measure import embed_entries


class Database:
    """Some drawings, in the order of the shipped database."""

    def __init__(self, art, drawings):
        self.art, self.drawings = art, list(drawings)
        self.names = EntityNames(art.entities[i] for i in self.drawings)
        self.ranking = Bm25([document_terms(art.entities[i], art.tags[i]) for i in self.drawings])

    def search(self, prompt, k, exclude=()):
        """The best k drawings by BM25 whose entity is not excluded; of equal scores, families of styles take turns."""
        scores = self.ranking.scores(self.names.terms(prompt))
        runs = {}
        for at in (-scores).argsort(kind="stable"):
            if scores[at] > 0 and self.art.entities[self.drawings[at]] not in exclude:
                runs.setdefault(scores[at], []).append(self.drawings[at])
        return [drawing for run in runs.values() for drawing in self.turns(run)][:k]

    def turns(self, run):
        seen, rounds = {}, []
        for drawing in run:
            family = self.art.families[drawing]
            rounds.append((seen.get(family, 0), drawing))
            seen[family] = seen.get(family, 0) + 1
        return [drawing for _, drawing in sorted(rounds, key=lambda pair: pair[0])]


class Learned:
    """The same database searched by a retriever's vectors."""

    def __init__(self, database, retriever, tokenizer):
        self.database, self.retriever, self.tokenizer = database, retriever, tokenizer
        self.vectors = embed_entries(retriever, database.art, tokenizer, database.drawings)[1]

    @torch.no_grad()
    def search(self, prompt, k, exclude=()):
        ids = torch.tensor([self.tokenizer.ids(prompt, self.retriever.config.text_len)], device=self.vectors.device)
        order = (self.vectors @ self.retriever.texts(ids)[0]).argsort(descending=True).tolist()
        found = (self.database.drawings[at] for at in order)
        entities = self.database.art.entities
        return [drawing for drawing, _ in zip((d for d in found if entities[d] not in exclude), range(k))]


def pictures_of(art, drawings):
    """Neighbours as a model sees them, [n, 3, S, S] in [-1, 1]."""
    return on_white(art.take(drawings)) / 127.5 - 1
