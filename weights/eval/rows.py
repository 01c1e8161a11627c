"""The rows of the table: what each retrieves and how it draws."""

import random
from dataclasses import dataclass, field, replace

from sampler import Settings

ETAS = (0.1, 0.4, 0.6, 1.0)  # 0.5 is the default


@dataclass(frozen=True)
class Row:
    name: str
    k: int = 2
    source: str = "bm25"  # who finds neighbours: bm25, learned, foreign, wrong, each, style:NAME
    settings: Settings = field(default_factory=Settings)
    pairs: bool = False
    model: str = "main"  # or "unfiltered": trained without the filter at both tails
    note: str = ""


def all_rows(styles, unfiltered):
    """In the order of the table. `styles`: those of databases of one style; `unfiltered`: whether there is a model trained without filters."""
    plain = Settings()
    rows = [
        Row("no neighbours", k=0, note="text alone"),
        Row("k = 1", k=1),
        Row("k = 2", note="the default"),
        Row("k = 3", k=3),
        Row("k = 2, learned retrieval", source="learned"),
        Row("k = 2, foreign database", source="foreign", note="the entity's own pictures are not in it"),
        Row("k = 2, wrong neighbours", source="wrong", note="pictures of other things, under their own names"),
        *(Row(f"k = 2, eta {eta:g}", settings=replace(plain, eta=eta)) for eta in ETAS),
        Row("k = 2, entangled", settings=replace(plain, mode="entangled"), note="as many evaluations as interleaved"),
        Row("two things, no neighbours", k=0, pairs=True),
        Row("two things, k = 2 by the prompt", pairs=True),
        Row("two things, one neighbour each", source="each", pairs=True),
        # One neighbour, as a database of one style has one drawing of a thing.
        *(Row(f"k = 1, only {style}", k=1, source=f"style:{style}", note="a database of one art style") for style in styles),
    ]
    if unfiltered:
        rows.append(Row("k = 2, trained without the tails' filter", model="unfiltered"))
    return rows


def neighbours_of(row, case, sources):
    """Drawings that the row shows for a case, best first. `sources`: searchers by name."""
    if row.k == 0:
        return []
    if row.source == "foreign":
        return sources["bm25"].search(case.prompt, row.k, exclude={case.entity})
    if row.source == "wrong":
        rng = random.Random(f"wrong/{case.entity}/{case.seed}")
        art = sources["bm25"].art
        others = [i for i in rng.sample(sources["bm25"].drawings, 20) if art.entities[i] not in (case.entity, case.second)]
        return others[: row.k]
    if row.source == "each":
        return [sources["bm25"].search(f"a {name}", 1)[0] for name in (case.entity, case.second)]
    return sources[row.source].search(case.prompt, row.k)
