"""Checks what training draws: `python3 check.py [SAMPLES]`. Prints one line a check; ends with an error at the first that fails."""

import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from art import read_art
from captions import kinds, scene_caption
from reimagen import Config, ReImagen
from retrieval import Bm25, distance, document_terms, find_neighbours, folded, subject_terms
from scenes import Recipe, Scenes
from tokenizer import UNKNOWN, Tokenizer
from train import take_over

HERE = Path(__file__).parent
FEWEST_DRAWINGS = 3  # of an entity that training may see


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    art = read_art(64)
    scenes = Scenes(art, Tokenizer(HERE / "../emoji-64/tokenizer.json"), 32, Recipe(backgrounds=2))
    check_second_list(art)
    check_ranking(art)
    check_pairs(art, scenes, count)
    check_tails(art, scenes)
    check_chimeras(art)
    check_batches(scenes)
    check_words(scenes)
    check_take_over()
    check_resume()


def check_second_list(art):
    """The second held-out list is what its rule gives, and shares nothing with the first."""
    expected = {name for name, drawings in art.of_entity.items() if len(drawings) < FEWEST_DRAWINGS}
    assert expected == set(art.held_out["second"]), "held-out-2.txt is not what its rule gives"
    assert not expected & set(art.held_out["first"]), "an entity is on both held-out lists"
    print(f"held out: {len(art.held_out['first'])} and {len(expected)} entities; {len(art.trained)} are trained on")


def check_ranking(art):
    """An entity's name finds its own drawings first, but for names that differ in number alone ("bust" and "busts")."""
    visible = [i for name in art.trained for i in art.of_entity[name]]
    ranking = Bm25([document_terms(art.entities[i], art.tags[i]) for i in visible])
    for name in art.trained:
        own = art.of_entity[name]
        found = {art.entities[visible[hit]] for hit in ranking.search(subject_terms(name), len(own))}
        alike = {other for other in found if folded(other) == folded(name)}
        assert found == alike, f"{name} finds {found}"
    print(f"ranking: each of {len(art.trained)} names finds its own drawings first")


def check_pairs(art, scenes, count):
    """Who is drawn and who is a neighbour, over `count` samples."""
    hidden, found = {*art.held_out["first"], *art.held_out["second"]}, scenes.neighbours
    rng, seen, wrong, related, without, text = random.Random(0), 0, 0, 0, 0, 0
    for _ in range(count):
        sample = scenes.sample(rng, rng.choice((1, 2, 3)))
        drawn = {slot.drawing for slot in sample["slots"]}
        first = sample["slots"][0].drawing
        near = [index for index, _, shown in sample["neighbours"] if shown]
        assert not drawn & set(near), "a drawing is its own neighbour"
        assert not hidden & {art.entities[i] for i in (*drawn, *near)}, "a held-out entity was drawn or was a neighbour"
        for index in near:
            subject = next((i for i in drawn if art.entities[i] == art.entities[index]), None)
            if subject is None:
                wrong += 1
                continue
            # A wrong neighbour may happen to show the second thing: only the first thing's own are filtered for certain.
            if art.entities[index] == art.entities[first] and index in found.matches[first]:
                assert found.near < distance(found.descriptors, first, index) < found.far, "a filter let a pair pass"
            related += art.families[index] == art.families[subject]
        seen += len(near)
        without += not near
        text += not sample["text"]
    print(f"{count} samples, {seen} neighbours: none held out, none the drawing itself, all within both filters")
    print(
        f"  wrong {wrong / seen:.1%}, of the same family {related / seen:.1%}, "
        f"samples without neighbours {without / count:.1%}, without text {text / count:.1%}"
    )
    assert 0.08 < without / count < 0.13 and 0.09 < text / count < 0.11 and 0.01 < wrong / seen < 0.06


def check_tails(art, scenes):
    """The filters drop the shares of pairs that the recipe names, and with shares of 0 none."""
    filtered, all_ = scenes.neighbours, find_neighbours(art, scenes.names, (0, 0))
    for i, matches in enumerate(all_.matches):
        assert set(filtered.matches[i]) <= set(matches), "a filter found a pair"
    kept, pairs = (sum(map(len, found.matches)) for found in (filtered, all_))
    # Names that differ in number alone crowd some pairs out of the ranking.
    assert 0.97 < pairs / sum(len(art.of_entity[name]) * (len(art.of_entity[name]) - 1) for name in scenes.names) <= 1, "pairs are missing"
    assert abs(1 - kept / pairs - sum(scenes.recipe.tails)) < 0.005, "the filters drop another share than they should"
    print(f"tails: of {pairs} pairs the filters drop {1 - kept / pairs:.1%}; with shares of 0 none")


def check_chimeras(art):
    """A chimera has no entity's name, no part of a held-out entity, and neighbours that are other pictures of it."""
    recipe = Recipe(chimeras=1, counts=(0, 1, 0), second=0, several=0, jittered=0, drop_neighbours=0, backgrounds=1)
    scenes, rng, names = Scenes(art, Tokenizer(HERE / "../emoji-64/tokenizer.json"), 32, recipe), random.Random(2), set(art.trained)
    samples = [scenes.sample(rng, 2) for _ in range(256)]
    parts = {art.entities[i] for sample in samples for i in (sample["slots"][0].drawing, sample["join"].drawing)}
    assert parts <= names, "a held-out entity is part of a chimera"
    # An invented name is one word, the last of a caption.
    assert all(sample["neighbours"][0][1].removesuffix(" emoji").split()[-1] not in names for sample in samples), "a chimera has an entity's name"
    near = scenes.render(samples, torch.Generator().manual_seed(2))["neighbours"]
    apart = (near[:, 0] - near[:, 1]).square().mean((1, 2, 3)).sqrt()
    assert (apart > 0.01).all(), "two neighbours of a chimera are one picture"
    print(f"chimeras: none has a held-out part; neighbours of one differ by {apart.median():.2f} of 2")


def check_batches(scenes):
    """A batch follows from seed and step: a run that goes on draws what an uninterrupted one would."""
    first, again, other = scenes.batch(7, 8), scenes.batch(7, 8), scenes.batch(8, 8)
    assert all(torch.equal(first[name], again[name]) for name in first if name != "samples"), "a batch is not repeatable"
    assert not torch.equal(first["x"], other["x"]), "two steps draw the same batch"
    assert np.isfinite(first["x"].numpy()).all() and first["x"].abs().max() <= 1, "pixels lie outside [-1, 1]"
    print("batches: step 7 twice is the same, step 8 is another")


def check_words(scenes):
    """Every caption can be spelled, and the words around the names are whole words of the vocabulary."""
    rng = random.Random(0)
    for kind in kinds():
        for words in ({}, dict(size="huge"), dict(position="in the bottom right"), dict(second="fox"), dict(count=3)):
            ids = scenes.tokenizer.ids(scene_caption("fox", kind, rng, **words), 32)
            assert UNKNOWN not in ids, f"a caption of {kind} has unknown pieces"
    spelled = scenes.tokenizer.ids("zq9x", 32)
    assert UNKNOWN not in spelled, "an unknown word is not spelled out"
    print("words: every caption is in the vocabulary, others are spelled out")


def check_take_over():
    """A stage takes over all of its like, and of a stage with a level less what lies below its own finest."""
    torch.manual_seed(5)
    base, like = (ReImagen(Config(attention_pos=True)) for _ in range(2))
    weights = base.state_dict()
    assert take_over(like, weights) == len(weights)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in like.state_dict().items())
    above = ReImagen(Config(size=256, channels=(64, 128, 256), blocks=(1, 2, 2), down_attention=(False, False, True),
        up_attention=(False, True, True), self_attention=(False, False, True), cond_channels=3))  # fmt: skip
    take_over(above, weights)
    assert torch.equal(above.up[2][0].conv1.weight, base.up[1][0].conv1.weight) and torch.equal(above.text.embed.weight, base.text.embed.weight)
    print("beginnings: a stage takes over the tensors that fit, from the coarsest level up")


def check_resume():
    """A run that is killed and started again ends with the very weights of one that is not."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plan = json.loads((HERE / "configs/base-64.json").read_text())
        small = dict(channels=(64, 64), blocks=(1, 1), text_layers=1)
        plan.update(model=small, batch=2, steps=40, recipe=dict(backgrounds=1), tokenizer=str(HERE / "../emoji-64/tokenizer.json"))
        (folder / "plan.json").write_text(json.dumps(plan))
        command = [sys.executable, HERE / "train.py", folder / "plan.json", "--threads", "1", "--save-every", "0", "--sheet-every", "1000"]
        subprocess.run([*command, "--out", folder / "whole"], check=True, stdout=subprocess.DEVNULL)
        run = subprocess.Popen([*command, "--out", folder / "cut"], stdout=subprocess.DEVNULL)
        while not (folder / "cut/checkpoint.pt").exists():
            time.sleep(0.01)
        time.sleep(0.5)
        run.send_signal(signal.SIGKILL)
        run.wait()
        stopped = torch.load(folder / "cut/checkpoint.pt")["state"]["step"]
        assert stopped < 40, "the run was over before it was killed"
        subprocess.run([*command, "--out", folder / "cut"], check=True, stdout=subprocess.DEVNULL)
        whole, cut = (torch.load(folder / run / "checkpoint.pt") for run in ("whole", "cut"))
    for part in ("model", "average"):
        assert all(torch.equal(whole[part][key], cut[part][key]) for key in whole[part]), f"{part} differs after a kill"
    print(f"resuming: killed at step {stopped} of 40, the end is the same to the last bit")


if __name__ == "__main__":
    main()
