// Pass: places the intermediate tensors into a few arena buffers by liveness.
import { ReimagenError } from "../errors.ts";
import { bytesOf } from "../gpu/kernel.ts";
import type { TensorType } from "../ops/op.ts";
import type { Node, Value } from "./graph.ts";

/** A place in an arena, in bytes. */
export interface Place {
  readonly arena: number;
  readonly offset: number;
  readonly bytes: number;
}

/** Where every intermediate lives, and what that costs. */
export interface MemoryPlan {
  readonly places: ReadonlyMap<Value, Place>;
  /** Bytes of each arena. */
  readonly arenas: readonly number[];
  /** No plan can do with less: the largest sum of tensors alive at once. */
  readonly lowerBound: number;
}

/** Bytes of a tensor. */
export function bytesOfType(type: TensorType): number {
  return bytesOf(type.dtype, type.shape);
}

/** Two arenas suffice for a chain; more leave room for results that must not share a buffer with their operands. */
const arenaCounts = [3, 4, 5, 6];
const ATTEMPTS = 150;
/** Close enough to the lower bound to stop trying. */
const GOOD_ENOUGH = 1.05;

/**
 * Plans groups of nodes that never run at the same time (stages), each in its order, into the same arenas. `own` are values with a
 * buffer of their own (inputs, weights, results that outlive their stage). WebGPU refuses one buffer bound for reading and for writing
 * in one dispatch, even at disjoint ranges, so a result never lies in an arena that holds one of its operands. The group that needs
 * most is planned first, the others into what it left; within a group largest tensors are placed first (Pisarchyk & Lee, 2020, "greedy
 * by size"), each in the arena and gap that grow the total least; several seeded perturbations of that order, the best wins.
 */
export function planMemory(
  groups: readonly (readonly Node[])[],
  own: ReadonlySet<Value>,
  alignment: number,
): MemoryPlan {
  const needs = groups
    .map((nodes) => ({ lives: lifetimes(nodes, own, alignment), count: nodes.length }))
    .map(({ lives, count }) => ({ lives: [...lives.values()], bound: largestLiveSet(lives, count) }))
    .sort((a, b) => b.bound - a.bound);
  const lowerBound = needs[0]?.bound ?? 0;
  const groupsOfLives = needs.map(({ lives }) => lives);
  let best: Layout | undefined;
  for (let seed = 0; seed < ATTEMPTS && !(best && total(best.arenas) <= GOOD_ENOUGH * lowerBound); seed++)
    for (const count of arenaCounts) {
      const limit = best ? total(best.arenas) : Number.POSITIVE_INFINITY;
      best = placeGroups(groupsOfLives, count, seed, limit) ?? best;
    }
  if (!best)
    throw new ReimagenError(
      "kernel",
      `${arenaCounts.at(-1)} arenas do not suffice for the graph's intermediate tensors`,
    );
  return { ...best, lowerBound };
}

interface Layout {
  readonly places: ReadonlyMap<Value, Place>;
  readonly arenas: readonly number[];
}

/** Undefined where the arenas would reach `limit` bytes together, or some tensor is allowed in none. */
function placeGroups(
  groups: readonly (readonly Life[])[],
  count: number,
  seed: number,
  limit: number,
): Layout | undefined {
  let layout: Layout = { places: new Map(), arenas: new Array<number>(count).fill(0) };
  for (const lives of groups) {
    const placed = place(lives, layout.arenas, seed, limit);
    if (!placed) return undefined;
    layout = { places: new Map([...layout.places, ...placed.places]), arenas: placed.arenas };
  }
  return layout;
}

const total = (sizes: readonly number[]) => sizes.reduce((sum, size) => sum + size, 0);

interface Life {
  readonly value: Value;
  readonly bytes: number;
  /** Positions of the node that makes it and of the last that reads it. */
  readonly from: number;
  to: number;
  /** What must lie in other arenas: operands of its node, results of its readers. */
  readonly apart: Set<Value>;
}

function lifetimes(nodes: readonly Node[], own: ReadonlySet<Value>, alignment: number): Map<Value, Life> {
  const lives = new Map<Value, Life>();
  nodes.forEach((node, at) => {
    const apart = new Set<Value>();
    for (const input of node.inputs) {
      const life = input && lives.get(input);
      if (!life) continue;
      life.to = at;
      life.apart.add(node.output);
      apart.add(life.value);
    }
    if (own.has(node.output)) return;
    const bytes = Math.ceil(bytesOfType(node.output.type) / alignment) * alignment;
    lives.set(node.output, { value: node.output, bytes, from: at, to: at, apart });
  });
  return lives;
}

function largestLiveSet(lives: ReadonlyMap<Value, Life>, count: number): number {
  const change = new Array<number>(count + 1).fill(0);
  for (const { bytes, from, to } of lives.values()) {
    change[from]! += bytes;
    change[to + 1]! -= bytes;
  }
  let live = 0;
  return change.reduce((most, delta) => {
    live += delta;
    return Math.max(most, live);
  }, 0);
}

/** Places `lives` into arenas that may already have a size; undefined as for `placeGroups`. */
function place(lives: readonly Life[], sizes: readonly number[], seed: number, limit: number): Layout | undefined {
  const places = new Map<Value, Place>();
  const arenas = [...sizes];
  let size = total(arenas);
  const placed: Life[][] = arenas.map(() => []);
  let state = seed;
  const chance = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) / 2 ** 24;
  };
  // Seed 0 is the plain greedy; others shuffle tensors of similar size and, among equals, those that live long come first.
  const weighted = lives.map((life) => ({
    life,
    weight: life.bytes * (seed ? 0.5 + chance() : 1) + (life.to - life.from) / 1e6,
  }));
  for (const { life } of weighted.sort((a, b) => b.weight - a.weight)) {
    const taken = new Set([...life.apart].map((value) => places.get(value)?.arena));
    let best: { arena: number; offset: number; growth: number } | undefined;
    for (let arena = 0; arena < arenas.length; arena++) {
      if (taken.has(arena)) continue;
      const overlapping = placed[arena]!.filter((other) => other.from <= life.to && life.from <= other.to);
      const offset = firstGap(overlapping, life.bytes, places);
      const growth = Math.max(0, offset + life.bytes - arenas[arena]!);
      if (
        !best ||
        growth < best.growth ||
        (growth === best.growth && (seed % 2 ? chance() < 0.5 : offset < best.offset))
      )
        best = { arena, offset, growth };
    }
    if (!best) return undefined;
    // Most attempts are no better than the best one so far, which the first few tensors tell.
    size += best.growth;
    if (size >= limit) return undefined;
    places.set(life.value, { arena: best.arena, offset: best.offset, bytes: life.bytes });
    placed[best.arena]!.push(life);
    arenas[best.arena]! += best.growth;
  }
  return { places, arenas };
}

function firstGap(overlapping: readonly Life[], bytes: number, places: ReadonlyMap<Value, Place>): number {
  let end = 0;
  for (const span of overlapping.map(({ value }) => places.get(value)!).sort((a, b) => a.offset - b.offset)) {
    if (span.offset - end >= bytes) return end;
    end = Math.max(end, span.offset + span.bytes);
  }
  return end;
}
