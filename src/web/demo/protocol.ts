// What the page and its studio say to each other: plain data, so that the studio can live in a worker.
import type { GuidanceMode, Picture, Sampler } from "../../index.ts";

/** What to draw, as far as a link can tell it: all but the user's own pictures. */
export interface Recipe {
  readonly prompt: string;
  /** Neighbours to find, 0 to 8. */
  readonly k: number;
  /** Entries of the database that are not to be found, and those that come first. */
  readonly excluded: readonly number[];
  readonly pinned: readonly number[];
  readonly sampler: Sampler;
  readonly steps: number;
  readonly seed: number;
  readonly mode: GuidanceMode;
  readonly eta: number;
  /** Weights of the text and of the neighbours. */
  readonly gammaP: number;
  readonly gammaN: number;
}

/** A picture that the user brought. */
export interface OwnPicture {
  /** The studio's number for it. */
  readonly id: number;
  readonly caption: string;
}

/** A recipe together with the user's pictures. */
export interface Order {
  readonly recipe: Recipe;
  readonly own: readonly OwnPicture[];
}

/** A neighbour that the prompt found, or that is pinned. */
export interface FoundNeighbor {
  readonly id: number;
  readonly entity: string;
  readonly caption: string;
  readonly style: string;
  readonly heldOut: boolean;
  /** BM25; 0 where a pinned one does not match the prompt. */
  readonly score: number;
}

/** Something that makes the engine faster where the device has it. */
export interface FastPath {
  readonly name: string;
  readonly on: boolean;
  /** What it is when on; what its lack means when off. */
  readonly words: string;
}

/** What the page runs on. */
export interface Machine {
  readonly adapter: string;
  readonly driver: string;
  readonly software: boolean;
  readonly inWorker: boolean;
  readonly fastPaths: readonly FastPath[];
}

/** How the studio found WebGPU: ready, or what is missing. */
export type Opening = { readonly machine: Machine } | { readonly missing: "webgpu" | "adapter" };

/** A finished picture. */
export interface Drawn {
  readonly picture: Picture;
  readonly seconds: number;
}

/** Kernels of one kind, over one step. */
export interface KernelFamily {
  readonly name: string;
  readonly kernels: readonly string[];
  readonly dispatches: number;
  readonly milliseconds: number;
  /** Arithmetic, in billions of operations. */
  readonly gflop: number;
}

/** Parts of the first loading. */
export type LoadingPart = "weights" | "pictures" | "upload" | "kernels";

/** What the studio tells while it works. */
export type StudioEvent =
  | { readonly kind: "loading"; readonly part: LoadingPart; readonly loaded: number; readonly total: number }
  | { readonly kind: "compiling"; readonly done: number; readonly total: number }
  /** After each step; `cell` is the sweep's, where it is one. */
  | {
      readonly kind: "step";
      readonly step: number;
      readonly steps: number;
      readonly milliseconds: number;
      readonly cell?: number;
    }
  /** The GPU device was lost, and when a new one was found. */
  | { readonly kind: "lost" | "restored" }
  | { readonly kind: "note"; readonly words: string };

/** The canvases that the studio draws on. */
export type CanvasName = "picture" | "estimate" | "sheet" | "sweep";

/** Values of eta in a sweep. */
export const sweptEtas = [0, 0.25, 0.5, 0.75, 1] as const;

/** Pixels between the tiles of a sheet. */
export const tileGap = 4;
