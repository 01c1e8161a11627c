// Pass: places the intermediate tensors of a stage into a few arena buffers by liveness.
import { bytesOf } from "../gpu/kernel.ts";
import { sizeOf, type TensorType } from "../ops/op.ts";
import type { Node, Value } from "./graph.ts";

/** A place in an arena, in bytes. */
export interface Place {
  readonly arena: number;
  readonly offset: number;
  readonly bytes: number;
}

/** Where every intermediate of a stage lives, and what that costs. */
export interface MemoryPlan {
  readonly places: ReadonlyMap<Value, Place>;
  /** Bytes of each arena. */
  readonly arenas: readonly number[];
  /** No plan can do with less: the largest sum of tensors alive at once. */
  readonly lowerBound: number;
}

/** Bytes of a tensor. */
export function bytesOfType(type: TensorType): number {
  return sizeOf(type) * bytesOf(type.dtype);
}

/** Two arenas suffice for a chain; a third and fourth leave room for operands that must not share a buffer with their result. */
const arenaCounts = [2, 3, 4];
const attempts = 60;

/**
 * Plans `nodes` in their order. `own` are values with a buffer of their own (inputs, weights, results that outlive the stage).
 * WebGPU refuses one buffer bound for reading and for writing in one dispatch, even at disjoint ranges, so a result never lies
 * in an arena that holds one of its operands. Which arena a tensor gets is otherwise free: several seeded tries, the best wins.
 */
export function planMemory(nodes: readonly Node[], own: ReadonlySet<Value>, alignment: number): MemoryPlan {
  const lives = lifetimes(nodes, own, alignment);
  const lowerBound = largestLiveSet(lives, nodes.length);
  let best: { places: Map<Value, Place>; arenas: number[] } | undefined;
  for (const count of arenaCounts)
    for (let seed = 0; seed < attempts; seed++) {
      const candidate = place(nodes, lives, count, seed);
      if (candidate && (!best || total(candidate.arenas) < total(best.arenas))) best = candidate;
      if (best && total(best.arenas) === lowerBound) return { ...best, lowerBound };
    }
  return { ...best!, lowerBound };
}

const total = (sizes: readonly number[]) => sizes.reduce((sum, size) => sum + size, 0);

interface Life {
  readonly value: Value;
  readonly bytes: number;
  readonly from: number;
  to: number;
}

function lifetimes(nodes: readonly Node[], own: ReadonlySet<Value>, alignment: number): Map<Value, Life> {
  const lives = new Map<Value, Life>();
  nodes.forEach((node, at) => {
    for (const input of node.inputs) {
      const life = input && lives.get(input);
      if (life) life.to = at;
    }
    if (own.has(node.output)) return;
    const bytes = Math.ceil(bytesOfType(node.output.type) / alignment) * alignment;
    lives.set(node.output, { value: node.output, bytes, from: at, to: at });
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

function place(nodes: readonly Node[], lives: ReadonlyMap<Value, Life>, count: number, seed: number) {
  const places = new Map<Value, Place>();
  const arenas = new Array<number>(count).fill(0);
  const alive: Life[][] = Array.from({ length: count }, () => []);
  let state = seed + 1;
  for (const [at, node] of nodes.entries()) {
    const life = lives.get(node.output);
    if (!life) continue;
    const taken = new Set(node.inputs.map((input) => (input ? places.get(input)?.arena : undefined)));
    let best: { place: Place; growth: number; gap: number } | undefined;
    for (let arena = 0; arena < count; arena++) {
      if (taken.has(arena)) continue;
      alive[arena] = alive[arena]!.filter((other) => other.to >= at);
      const { offset, gap } = fit(alive[arena]!, life.bytes, places);
      // Seed 0 breaks ties by the tightest gap; the others by chance.
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      const chance = seed ? (state >>> 16) / 65536 : 0;
      const growth = Math.max(0, offset + life.bytes - arenas[arena]!) * (seed ? 0.5 + chance : 1);
      const tightness = seed ? chance : gap;
      if (!best || growth < best.growth || (growth === best.growth && tightness < best.gap))
        best = { place: { arena, offset, bytes: life.bytes }, growth, gap: tightness };
    }
    if (!best) return undefined;
    const { place } = best;
    places.set(life.value, place);
    alive[place.arena]!.push(life);
    arenas[place.arena] = Math.max(arenas[place.arena]!, place.offset + place.bytes);
  }
  return { places, arenas };
}

// The smallest gap between live neighbours that holds `bytes`, else the end.
function fit(
  alive: readonly Life[],
  bytes: number,
  places: ReadonlyMap<Value, Place>,
): { offset: number; gap: number } {
  const spans = alive.map(({ value }) => places.get(value)!).sort((a, b) => a.offset - b.offset);
  let end = 0;
  let best: { offset: number; gap: number } | undefined;
  for (const span of spans) {
    const gap = span.offset - end;
    if (gap >= bytes && (!best || gap < best.gap)) best = { offset: end, gap };
    end = Math.max(end, span.offset + span.bytes);
  }
  return best ?? { offset: end, gap: Number.POSITIVE_INFINITY };
}
