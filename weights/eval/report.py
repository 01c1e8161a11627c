"""Writes table.md, table.json and the picture rows."""

import json

import numpy as np

from databases import pictures_of
from png import grid, write_png

COLUMNS = 12
GROUPS = dict(frequent="seen in training", first="held out", second="held out, never looked at")
SHEETS = {
    "neighbours.png": ["no neighbours", "k = 1", "k = 2", "k = 3", "k = 2, learned retrieval", "real scenes"],
    "eta.png": ["k = 2, eta 0.1", "k = 2, eta 0.4", "k = 2", "k = 2, eta 0.6", "k = 2, eta 1"],
    "guidance.png": ["k = 2", "k = 2, entangled"],
    "filters.png": ["k = 2", "k = 2, trained without the tails' filter"],
    "wrong.png": ["k = 2", "k = 2, foreign database", "k = 2, wrong neighbours"],
    "two-things.png": ["two things, no neighbours", "two things, k = 2 by the prompt", "two things, one neighbour each", "real scenes, two things"],
}


def write_report(evaluation, table, shown, verdicts, tuned):
    out = evaluation.options.out
    (out / "table.json").write_text(json.dumps(table, indent=1) + "\n")
    group = "first"
    sheets = {}
    rows = {row.name: row for row in evaluation.rows()}
    sheet_rows = {**SHEETS, "styles.png": [name for name in rows if ", only " in name]}
    for file, names in sheet_rows.items():
        names = [name for name in names if (name, group) in shown]
        if len(names) < 2:
            continue
        first = next((name for name in names if name in rows and rows[name].k), None)
        cases = evaluation.cases[rows[first].pairs if first else False][group]
        at = columns(cases)
        pictures = [shown[name, group][at].numpy() for name in names]
        above = neighbour_rows(evaluation, rows, file, first, [cases[i] for i in at])
        write_png(out / file, grid([*(row for _, row in above), *pictures], 2))
        sheets[file] = [*(name for name, _ in above), *names]
    if tuned:
        at = slice(0, COLUMNS)
        write_png(out / "finetuning.png", grid([row[at].numpy() for row in tuned.values()], 2))
        sheets["finetuning.png"] = list(tuned)
    failures = write_failures(evaluation, shown, verdicts, group)
    (out / "table.md").write_text(markdown(evaluation, table, sheets, failures))


def columns(cases):
    """Places of the first seed's cases, spread evenly over the entities."""
    first = [i for i, case in enumerate(cases) if case.seed == 0]
    return first[:: max(1, len(first) // COLUMNS)][:COLUMNS]


def neighbour_rows(evaluation, rows, file, name, cases):
    """The neighbours that a sheet's pictures saw, a row each place; of one-style databases each one's best."""
    if name is None:
        return []
    if file == "styles.png":
        chosen = [row for row in rows.values() if ", only " in row.name]
        found = [(f"neighbour of {row.name}", [near[:1] for near in evaluation.neighbours(row, cases)]) for row in chosen]
        return [(title, drawn(evaluation, [near[0] if near else None for near in nears])) for title, nears in found]
    row = rows["k = 2"] if "k = 2" in rows and not rows[name].pairs else rows[name]
    found = evaluation.neighbours(row, cases)
    return [
        (f"neighbour {place + 1}", drawn(evaluation, [near[place] if place < len(near) else None for near in found]))
        for place in range(row.k)
    ]


def drawn(evaluation, drawings):
    """[N, 3, S, S]; white where there is none."""
    pictures = pictures_of(evaluation.art, [index or 0 for index in drawings]).numpy()
    pictures[[index is None for index in drawings]] = 1
    return pictures


def write_failures(evaluation, shown, verdicts, group):
    """The default row's clearest misses: neighbour, picture, and what real art would give. -> lines of text."""
    verdict = verdicts.get(("k = 2", group))
    if verdict is None:
        return []
    cases = evaluation.cases[False][group]
    missed = [i for i in np.argsort(-verdict.sure) if not verdict.named[i]][:COLUMNS]
    if not missed:
        return []
    row = next(row for row in evaluation.rows() if row.name == "k = 2")
    near = evaluation.neighbours(row, [cases[i] for i in missed])
    above = [drawn(evaluation, [found[place] if place < len(found) else None for found in near]) for place in range(2)]
    pictures = [shown["k = 2", group][missed].numpy(), shown["real scenes", group][missed].numpy()]
    write_png(evaluation.options.out / "failures.png", grid([*above, *pictures], 2))
    return [f'"{cases[i].prompt}": taken for {verdict.guess[i]} ({verdict.sure[i]:.0%})' for i in missed]


def markdown(evaluation, table, sheets, failures):
    lines = [f"# {table['model']}", ""]
    steps = f", {table['steps']} steps of training" if table["steps"] else ""
    lines += [
        f"{table['entities']} entities a group at most, {table['seeds']} seeds each, 20 steps of DPM-Solver++{steps}. `../README.md` says how to read this.",
        "",
        "Recogniser, by itself on clean scenes: " + (", ".join(f"{name} {value:.2f}" for name, value in table["recogniser"].items())
        or "its training was not finished") + ".",
        "",
    ]
    for group in evaluation.cases[False]:
        lines += [f"## {GROUPS[group]}", ""]
        lines += ["| row | names the thing | among five | scene | both things | right neighbours | Frechet | kernel x 1000 | |", "| --- " * 9 + "|"]
        for name, row in table["rows"].items():
            found = row["groups"].get(group)
            if found:
                lines.append(line(name, found, row["note"]))
        ratio = table["ratios"].get(group)
        if ratio:
            shown = [f"{value:.2f}" if value is not None else "infinity" for value in ratio]
            often = f"{shown[0]} times as often as none ({shown[1]} to {shown[2]})"
            lines += ["", f"Two neighbours name it {often}." if ratio[0] is not None else "Without neighbours it is never named."]
        lines.append("")
    lines += finetuning(table["finetuning"])
    if table["only"]:
        lines += [f"Left out: all rows but those by `--only '{table['only']}'`.", ""]
    if not table["unfiltered"]:
        lines += ["Left out: training pairs without the filter at both tails, which needs a model trained so (`--unfiltered`).", ""]
    if not table["final"]:
        lines += ["Left out: the second held-out list, which is for the last judgement (`--final`).", ""]
    lines += ["## Pictures", ""]
    for file, rows in sheets.items():
        lines += [f"![{file}]({file})", "", f"From top to bottom: {'; '.join(rows)}.", ""]
    if failures:
        lines += ["![failures](failures.png)", "", "Clearest misses with two neighbours: both neighbours, the picture, the real thing."]
        lines += [f"{place + 1}. {text}" for place, text in enumerate(failures)] + [""]
    return "\n".join(lines)


def line(name, found, note):
    def share(key):
        if key not in found:
            return ""
        mean, low, high = found[key]
        return f"{mean:.2f} ({low:.2f} to {high:.2f})"

    right = f"{found['neighbours_right']:.2f}" if "neighbours_right" in found else ""
    distances = (f"{found['frechet']:.2f}", f"{found['kernel'] * 1000:.2f}") if "frechet" in found else ("", "")
    if "style" in found:
        otherwise = f", with all styles {found['style_otherwise']:.2f}" if "style_otherwise" in found else ""
        note += f"; the picture is of that style: {share('style')}{otherwise}"
    if "shows_the_neighbour" in found:
        note += f"; the picture shows a neighbour's thing: {found['shows_the_neighbour']:.2f}"
    return f"| {name} | {share('entity')} | {share('entity_at_5')} | {share('scene')} | {share('both')} | {right} | {distances[0]} | {distances[1]} | {note} |"


def finetuning(found):
    if not found:
        return []
    rows = [name for name in found if isinstance(found[name], dict)]
    lines = ["## Against optimisation", "", f"The same one reference of {len(found['entities'])} held-out things, {found['steps']} steps of fine-tuning each.", ""]
    lines += ["| | names the thing | scene | seconds before the first step of drawing |", "| --- | --- | --- | --- |"]
    for name in rows:
        mean, low, high = found[name]["entity"]
        seconds = found[name].get("seconds_before_drawing", 0)
        lines.append(f"| {name} | {mean:.2f} ({low:.2f} to {high:.2f}) | {found[name]['scene'][0]:.2f} | {seconds} |")
    return [*lines, ""]
