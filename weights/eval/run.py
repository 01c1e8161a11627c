"""Evaluates a base stage as the paper's tables do: `python3 run.py MODEL_OR_CHECKPOINT --recogniser FILE --out DIR`.

DIR gets table.md, table.json and picture rows. Run again after any interruption, it goes on where it was: what is drawn lies in DIR/drawn.
"""

import argparse
import json
import os
import re
import time
from pathlib import Path

import numpy as np
import torch

import metrics
from models import HERE, open_model, open_retriever  # first, as it says where the modules of training lie

import recogniser as judges
from art import DATA, read_art
from cases import cases_of, groups_of, noise_of, real_scenes
from databases import Database, Learned, pictures_of
from finetune import finetuned
from judge import judge, summary
from pngs import read_png
from report import write_report
from rows import Row, all_rows, neighbours_of
from sampler import Settings, draw
from scenes import Recipe, Scenes
from tokenizer import Tokenizer

NEIGHBOUR_TEXT_LENGTH = 14
REAL_ROUNDS = 4  # real scenes a case, for the distances


class Evaluation:
    """Everything that rows share."""

    def __init__(self, options):
        self.options, device = options, torch.device(options.device)
        self.device = device
        self.art = read_art(64, options.data or DATA)
        self.tokenizer = Tokenizer(HERE / "../emoji-64/tokenizer.json")
        self.recogniser, self.ceiling = judges.load(options.recogniser, device)
        self.models = {"main": open_model(options.model, device)}
        if options.unfiltered:
            self.models["unfiltered"] = open_model(options.unfiltered, device)
        groups = groups_of(self.art, options.entities, options.final)
        self.cases = {pairs: {g: cases_of(g, names, options.seeds, pairs) for g, names in groups.items()} for pairs in (False, True)}
        recipe = Recipe(counts=(), backgrounds=16)
        # Another seed than training's, so that backgrounds are others too.
        self.scenes = Scenes(self.art, self.tokenizer, 32, recipe, 99, names=sorted(self.art.of_entity))
        whole = Database(self.art, range(len(self.art.entities)))
        self.sources = {"bm25": whole, "foreign": whole, "wrong": whole, "each": whole}
        if options.retriever:
            self.sources["learned"] = Learned(whole, open_retriever(options.retriever, device), self.tokenizer)
        for style in options.styles:
            self.sources[f"style:{style}"] = Database(self.art, [i for i, own in enumerate(self.art.styles) if own == style])
        (options.out / "drawn").mkdir(parents=True, exist_ok=True)

    def rows(self):
        found = all_rows(self.options.styles, bool(self.options.unfiltered))
        found = [row for row in found if row.source in self.sources]
        return [row for row in found if not self.options.only or re.search(self.options.only, row.name)]

    def neighbours(self, row, cases):
        return [neighbours_of(row, case, self.sources) for case in cases]

    def drawn(self, row, group, cases, near, model=None, key=None):
        """The row's pictures, [N, 3, S, S] in [-1, 1]; from DIR/drawn where they are."""
        network, kind, identity = model or self.models[row.model]
        key = key or json.dumps([identity["weights"], repr(row.settings), [case.prompt for case in cases], near])
        path = self.options.out / "drawn" / f"{slug(row.name)}.{group}.npz"
        if path.exists():
            saved = np.load(path)
            if str(saved["key"]) == key:
                return torch.from_numpy(saved["pictures"]).float() / 127.5 - 1
        started, parts = time.monotonic(), []
        for begin in range(0, len(cases), self.options.batch):
            part = slice(begin, begin + self.options.batch)
            parts.append(self.draw(network, kind, row.settings, cases[part], near[part], row.k))
        pictures = torch.cat(parts)
        whole = ((pictures + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        # Written whole or not at all; the ending keeps numpy from adding one.
        np.savez(path.with_suffix(".new.npz"), key=key, pictures=whole.numpy())
        os.replace(path.with_suffix(".new.npz"), path)
        print(f"{row.name}, {group}: {len(cases)} pictures in {time.monotonic() - started:.0f} s", flush=True)
        return whole.float() / 127.5 - 1

    def draw(self, network, kind, settings, cases, near, k):
        config, device = network.config, self.device
        ids = torch.tensor([self.tokenizer.ids(case.prompt, config.text_len) for case in cases], device=device)
        neighbours = None
        if k:
            # A place without a neighbour is masked; what lies there does not matter.
            filled = [[*found, *[0] * (k - len(found))] for found in near]
            pictures = pictures_of(self.art, [i for row in filled for i in row]).unflatten(0, (len(cases), k))
            words = [[self.tokenizer.ids(f"{self.art.entities[i]} emoji", NEIGHBOUR_TEXT_LENGTH) for i in row] for row in filled]
            keep = torch.tensor([[place < len(found) for place in range(k)] for found in near])
            neighbours = (pictures.to(device), torch.tensor(words, device=device), keep.to(device))
        noise = noise_of(cases, config.size).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=self.options.half):
            return draw(network, ids, neighbours, noise, settings, kind).float().cpu()


def slug(name):
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-")


def evaluate(evaluation):
    """-> the table, and pictures by row and group for the sheets."""
    table, shown, verdicts, references = dict(rows={}), {}, {}, {}
    for pairs in (False, True):
        rows = [row for row in evaluation.rows() if row.pairs == pairs]
        if not rows:
            continue
        for group, cases in evaluation.cases[pairs].items():
            rounds = [real_scenes(evaluation.scenes, cases, n) for n in range(REAL_ROUNDS + 1)]
            real = judge(evaluation.recogniser, rounds[0], cases)
            reference = judge(evaluation.recogniser, torch.cat(rounds[1:]), cases * REAL_ROUNDS).features
            references[pairs, group] = reference
            name = "real scenes, two things" if pairs else "real scenes"
            table["rows"].setdefault(name, dict(note="what the recogniser makes of the art itself", groups={}))
            table["rows"][name]["groups"][group] = summary(real, cases, reference)
            shown[name, group] = rounds[0]
    for row in evaluation.rows():
        entry = table["rows"].setdefault(row.name, dict(note=row.note, groups={}))
        for group, cases in evaluation.cases[row.pairs].items():
            near = evaluation.neighbours(row, cases)
            pictures = evaluation.drawn(row, group, cases, near)
            verdict = judge(evaluation.recogniser, pictures, cases)
            found = summary(verdict, cases, references[row.pairs, group], row)
            found.update(neighbours_found(evaluation.art, row, cases, near, verdict))
            entry["groups"][group] = found
            if "style" in found and ("k = 1", group) in verdicts:
                usual = verdicts["k = 1", group].style
                found["style_otherwise"] = round(float(np.mean([style == row.source[6:] for style in usual])), 4)
            verdicts[row.name, group], shown[row.name, group] = verdict, pictures
    table["ratios"] = ratios(evaluation, verdicts)
    return table, shown, verdicts


def neighbours_found(art, row, cases, near, verdict):
    """How many neighbours show what was asked for; with wrong ones, how often the picture shows the neighbour's thing instead."""
    flat = [(art.entities[i] in (case.entity, case.second)) for case, found in zip(cases, near) for i in found]
    told = dict(neighbours_right=round(float(np.mean(flat)), 4)) if flat else {}
    if row.source == "wrong":
        stolen = [guess in {art.entities[i] for i in found} for guess, found in zip(verdict.guess, near)]
        told["shows_the_neighbour"] = round(float(np.mean(stolen)), 4)
    return told


def ratios(evaluation, verdicts):
    """How many times more often the default names the thing than the text alone does."""
    found = {}
    for group, cases in evaluation.cases[False].items():
        over, under = verdicts.get(("k = 2", group)), verdicts.get(("no neighbours", group))
        if over is not None and under is not None and over.named.any():
            values = metrics.ratio_interval(over.named, under.named, [case.entity for case in cases])
            found[group] = [round(value, 3) if np.isfinite(value) else None for value in values]
    return found


def against_optimisation(evaluation):
    """Retrieval and fine-tuning with the same one reference, on the same cases; seconds a thing. -> (numbers, sheet rows) or None."""
    options = evaluation.options
    names = sorted({case.entity for case in evaluation.cases[False]["first"]})[: options.finetuned]
    if not names:
        return None, None
    cases = [case for case in evaluation.cases[False]["first"] if case.entity in names]
    database, model = evaluation.sources["bm25"], evaluation.models["main"]
    references = {name: database.search(f"a {name}", 1)[0] for name in names}
    near = [[references[case.entity]] for case in cases]
    one, none = Row("one reference, retrieved", k=1), Row("no reference", k=0)
    found, sheets, seconds = {}, {"reference": pictures_of(evaluation.art, [n[0] for n in near])}, {}
    for row in (none, one):
        started = time.monotonic()
        sheets[row.name] = evaluation.drawn(row, "finetune", cases, near if row.k else [[] for _ in cases])
        seconds[row.name] = time.monotonic() - started
    tuned = Row("one reference, fine-tuned", k=0)
    parts, spent = {}, []
    for name in names:
        own = [case for case in cases if case.entity == name]
        # The key says what fine-tuning started from: a part that is there needs none.
        key = json.dumps([model[2]["weights"], options.finetune_steps, references[name], [case.prompt for case in own]])
        path = options.out / "drawn" / f"finetune-{slug(name)}.json"
        if not (path.exists() and json.loads(path.read_text())["key"] == key):
            changed, took = finetuned(
                model[0], model[1], evaluation.scenes, evaluation.tokenizer, references[name], name, options.finetune_steps
            )
            evaluation.drawn(tuned, f"finetune-{slug(name)}", own, [[] for _ in own], (changed, model[1], model[2]), key)
            path.write_text(json.dumps(dict(key=key, seconds=took)))
        spent.append(json.loads(path.read_text())["seconds"])
        parts[name] = evaluation.drawn(tuned, f"finetune-{slug(name)}", own, [[] for _ in own], None, key)
    taken = {name: iter(pictures) for name, pictures in parts.items()}
    sheets[tuned.name] = torch.stack([next(taken[case.entity]) for case in cases])
    for name in (none.name, one.name, tuned.name):
        found[name] = summary(judge(evaluation.recogniser, sheets[name], cases), cases, None)
    found[tuned.name]["seconds_before_drawing"] = round(float(np.mean(spent)), 1)
    found["steps"], found["entities"] = options.finetune_steps, names
    return found, sheets


def engine_row(evaluation, table, shown):
    """Judges pictures that the engine drew from the manifest: GROUP-NUMBER.png."""
    entry = dict(note="drawn by the engine, its own noise", groups={})
    for group, cases in evaluation.cases[False].items():
        files = [evaluation.options.pictures / f"{group}-{i:04}.png" for i in range(len(cases))]
        there = [i for i, file in enumerate(files) if file.exists()]
        if not there:
            continue
        pictures = torch.stack([torch.from_numpy(read_png(files[i])).permute(2, 0, 1).float() / 127.5 - 1 for i in there])
        own = [cases[i] for i in there]
        entry["groups"][group] = summary(judge(evaluation.recogniser, pictures, own), own, None)
        shown["k = 2, by the engine", group] = pictures
    table["rows"]["k = 2, by the engine"] = entry


def write_manifest(evaluation, path):
    """A line for each case of the default row, for `draw.ts`."""
    lines = [
        json.dumps(dict(file=f"{group}-{i:04}.png", prompt=case.prompt, seed=case.seed))
        for group, cases in evaluation.cases[False].items()
        for i, case in enumerate(cases)
    ]
    path.write_text("\n".join(lines) + "\n")
    print(f"{path}: {len(lines)} pictures")


def main():
    options = parse_options()
    torch.set_num_threads(options.threads or os.cpu_count())
    evaluation = Evaluation(options)
    if options.manifest:
        write_manifest(evaluation, options.manifest)
        return
    started = time.monotonic()
    table, shown, verdicts = evaluate(evaluation)
    table["finetuning"], tuned = against_optimisation(evaluation)
    if options.pictures:
        engine_row(evaluation, table, shown)
    table.update(
        {name: part for name, part in evaluation.models["main"][2].items()}, recogniser=evaluation.ceiling, art=evaluation.art.sha256,
        entities=options.entities, seeds=options.seeds, settings=repr(Settings()), unfiltered=bool(options.unfiltered),
        final=options.final, only=options.only, minutes=round((time.monotonic() - started) / 60, 1),
    )  # fmt: skip
    write_report(evaluation, table, shown, verdicts, tuned)
    print(options.out / "table.md")


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="checkpoint.pt of a training, or a folder as the engine reads it")
    parser.add_argument("--recogniser", type=Path, default=HERE / "recogniser", help="checkpoint.pt of recogniser.py, or a folder of its export")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--retriever", type=Path, default=HERE / "../retriever", help="folder or checkpoint of the learned retriever")
    parser.add_argument("--unfiltered", type=Path, help="a model trained with the filters at both tails off")
    parser.add_argument("--entities", type=int, default=60, help="at most, of each group")
    parser.add_argument("--seeds", type=int, default=4, help="pictures an entity")
    parser.add_argument("--final", action="store_true", help="judge the second held-out list too: never while anything is still tuned")
    parser.add_argument("--finetuned", type=int, default=6, help="entities of the comparison with fine-tuning; 0 for none")
    parser.add_argument("--finetune-steps", type=int, default=80)
    parser.add_argument("--styles", nargs="*", default=["noto", "twemoji", "fluent-3d"], help="databases of one art style")
    parser.add_argument("--only", help="a regular expression: rows by name")
    parser.add_argument("--manifest", type=Path, help="write what the engine is to draw for a cross-check, and end")
    parser.add_argument("--pictures", type=Path, help="folder of what the engine drew from the manifest")
    parser.add_argument("--batch", type=int, default=48)
    parser.add_argument("--threads", type=int, help="of the CPU; all unless given")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--half", action=argparse.BooleanOptionalAction, default=True, help="bfloat16 where it pays")
    parser.add_argument("--data", type=Path, help="folder of art-64.bin and art-64.json")
    return parser.parse_args()


if __name__ == "__main__":
    main()
