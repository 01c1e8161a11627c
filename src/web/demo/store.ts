// The page's state, in one place, and a hook that follows a part of it.
import { useEffect, useState } from "preact/hooks";
import type { Picture } from "../../index.ts";
import type {
  Drawn,
  FoundNeighbor,
  KernelFamily,
  LoadingPart,
  Opening,
  Order,
  OwnPicture,
  Recipe,
} from "./protocol.ts";
import { firstRecipe } from "./recipe.ts";

/** A picture of the user's on the page. */
export interface OwnCard extends OwnPicture {
  readonly tile: Picture;
}

/** A share of some work. */
export interface Part {
  readonly loaded: number;
  readonly total: number;
}

/** All that the page shows. */
export interface State {
  readonly recipe: Recipe;
  readonly own: readonly OwnCard[];
  /** Pictures in the database, once it is open. */
  readonly entries: number | undefined;
  readonly found: readonly FoundNeighbor[];
  readonly parts: Partial<Record<LoadingPart, Part>>;
  /** Whether model and device are ready, or what is missing; undefined while they are being opened. */
  readonly opening: Opening | undefined;
  readonly activity: "none" | "drawing" | "sweeping" | "measuring";
  readonly compiling: Part | undefined;
  /** Of the picture on the canvas. */
  readonly order: Order | undefined;
  readonly shownNeighbors: number;
  readonly step: number;
  readonly times: readonly number[];
  readonly drawn: Drawn | undefined;
  /** The sweep on its canvas: its order, and how far it is. */
  readonly sweep: { readonly order: Order; readonly cell: number; readonly step: number } | undefined;
  readonly families: readonly KernelFamily[] | undefined;
  readonly warnings: readonly string[];
  /** One sentence about what happened, and whether it stands in the way. */
  readonly notice: { readonly words: string; readonly retry?: () => void } | undefined;
  /** Bytes in the browser's storage. */
  readonly kept: number;
}

/** Tiles in a row of the contact sheet: on a phone they are to be seen, too. */
export const sheetColumns = innerWidth < 660 ? 5 : 8;

let state: State = {
  recipe: firstRecipe,
  own: [],
  entries: undefined,
  found: [],
  parts: {},
  opening: undefined,
  activity: "none",
  compiling: undefined,
  order: undefined,
  shownNeighbors: 0,
  step: 0,
  times: [],
  drawn: undefined,
  sweep: undefined,
  families: undefined,
  warnings: [],
  notice: undefined,
  kept: 0,
};
const listeners = new Set<() => void>();

export function getState(): State {
  return state;
}

/** Changes a part of the state. */
export function setState(patch: Partial<State>): void {
  state = { ...state, ...patch };
  for (const listener of listeners) listener();
}

/** A value made from the state; the component is drawn again when it is another one. */
export function useStore<T>(select: (state: State) => T): T {
  const [value, setValue] = useState(() => select(state));
  useEffect(() => {
    const listener = () => setValue(() => select(state));
    listeners.add(listener);
    listener();
    return () => {
      listeners.delete(listener);
    };
  }, []);
  return value;
}
