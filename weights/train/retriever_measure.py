"""How often retrieval finds the right thing: the learned retriever beside BM25, on the same prompts over the same pictures.

`python3 retriever_measure.py CHECKPOINT` measures the second held-out list too: never while anything is still tuned.
"""

import json
import random
import sys

import torch

from art import on_white, read_art
from captions import kinds, scene_caption
from prompts import EntityNames
from retrieval import Bm25, document_terms
from retriever import TOKENIZER, Config, Retriever, entry_text, held_out_drawings, joined
from tokenizer import Tokenizer

PROMPTS = 3  # a thing, each with a scene of its own
PART = 512


@torch.no_grad()
def measured(model, art, tokenizer, lists=("first",)):
    """Recall at 1 and at 5 as shares of prompts: by the picture alone, by picture and words as the database keeps them, and by BM25.

    Held-out pictures: found among pictures of trained things that training did not see. Held-out entities, of the lists named: found
    among all pictures of the database. `tagged`: asked for by two of their tags instead of by name; what has both is right.
    """
    model.eval()
    vectors = embed_entries(model, art, tokenizer, range(len(art.entities)))
    unseen = held_out_drawings(art)
    named = sorted({art.entities[i] for i in unseen})
    everything = range(len(art.entities))
    tests = {"pictures": (by_name(named), unseen)}
    for which in lists:
        names = art.held_out[which]
        tests[f"entities_{which}"] = (by_name(names), everything)
        tests[f"entities_{which}_tagged"] = (by_tags(art, names), everything)
    return {
        f"{what}_{how}": value
        for what, (asked, gallery) in tests.items()
        for how, value in recalls(model, art, tokenizer, asked, list(gallery), vectors).items()
    }


def by_name(names):
    """-> prompts and what each asks for: a set of entities."""
    rng = random.Random(9)
    return [(scene_caption(name, rng.choice(kinds()), rng), {name}) for name in names for _ in range(PROMPTS)]


def by_tags(art, names):
    """The same with two tags that are no part of the name, where a thing has so many."""
    rng, asked = random.Random(9), []
    entities_of = {}
    for entity, tags in zip(art.entities, art.tags):
        for tag in tags:
            entities_of.setdefault(tag, set()).add(entity)
    for name in names:
        tags = [tag for tag in art.tags[art.of_entity[name][0]] if tag not in name]
        for _ in range(PROMPTS if len(tags) > 1 else 0):
            two = rng.sample(tags, 2)
            asked.append((scene_caption(" ".join(two), rng.choice(kinds()), rng), entities_of[two[0]] & entities_of[two[1]]))
    return asked


def embed_entries(model, art, tokenizer, drawings):
    """-> vectors [N, D] of pictures on white, and of pictures with their words."""
    drawings, seen, kept = list(drawings), [], []
    device, length = next(model.parameters()).device, model.config.text_len
    for begin in range(0, len(drawings), PART):
        part = drawings[begin : begin + PART]
        pictures = model.pictures((on_white(art.take(part)) / 127.5 - 1).to(device))
        ids = torch.tensor([tokenizer.ids(entry_text(art.entities[i], art.tags[i]), length) for i in part], device=device)
        seen.append(pictures)
        kept.append(joined(pictures, model.texts(ids)))
    return torch.cat(seen), torch.cat(kept)


def recalls(model, art, tokenizer, asked, gallery, vectors):
    device = next(model.parameters()).device
    ids = torch.tensor([tokenizer.ids(prompt, model.config.text_len) for prompt, _ in asked], device=device)
    queries, found = model.texts(ids), {}
    for how, kept in zip(("by_picture", "by_both"), vectors):
        best = (queries @ kept[gallery].T).topk(5, 1).indices.tolist()
        found[how] = [[art.entities[gallery[at]] for at in row] for row in best]
    ranking, entities = Bm25([document_terms(art.entities[i], art.tags[i]) for i in gallery]), EntityNames(art.entities)
    found["by_bm25"] = [
        [art.entities[gallery[at]] for at in ranking.search(entities.terms(prompt), 5)] for prompt, _ in asked
    ]
    return {
        f"{how}_at_{k}": round(sum(not right.isdisjoint(row[:k]) for (_, right), row in zip(asked, rows)) / len(asked), 4)
        for how, rows in found.items()
        for k in (1, 5)
    }


def main():
    saved, art = torch.load(sys.argv[1], map_location="cpu"), read_art(64)
    model = Retriever(Config(**saved["plan"]["model"]))
    model.load_state_dict(saved["model"])
    print(json.dumps(measured(model, art, Tokenizer(TOKENIZER), tuple(art.held_out)), indent=2))


if __name__ == "__main__":
    main()
