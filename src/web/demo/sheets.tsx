// The contact sheet of the last picture, and the sweep over eta: canvases that the studio fills.
import { change, sweep as drawSweep } from "./actions.ts";
import { sweptEtas, tileGap } from "./protocol.ts";
import { sheetColumns, useStore } from "./store.ts";

/** Neighbours, then the estimate after each step. */
export function ContactSheet() {
  const order = useStore((state) => state.order);
  const neighbors = useStore((state) => (state.order ? state.shownNeighbors : 0));
  const steps = order?.recipe.steps ?? 0;
  const rows = Math.ceil(neighbors / sheetColumns) + Math.ceil(steps / sheetColumns);
  return (
    <section aria-labelledby="sheet-title">
      <h2 id="sheet-title">Contact sheet</h2>
      <p class="soft">
        {order
          ? `${neighbors > 0 ? `First ${neighbors === 1 ? "the neighbour" : `the ${neighbors} neighbours`}, then what` : "What"} the model expected the picture to become, after each of ${steps} steps.`
          : "The neighbours, then what the model expects the picture to become after each step."}
      </p>
      <div class="sheet" hidden={!order}>
        <canvas
          id="sheet"
          role="img"
          aria-label={`Contact sheet of ${order?.recipe.prompt ?? "no picture yet"}`}
          style={{ aspectRatio: ratio(sheetColumns, Math.max(rows, 1)) }}
        />
      </div>
    </section>
  );
}

/** One prompt with five values of eta, which can be taken over. */
export function EtaSweep() {
  const sweep = useStore((state) => state.sweep);
  const sweeping = useStore((state) => state.activity === "sweeping");
  const able = useStore(
    (state) => state.opening !== undefined && "machine" in state.opening && state.activity === "none",
  );
  const neighbors = useStore((state) => state.found.length + state.own.length);
  const steps = sweep?.order.recipe.steps ?? 0;
  return (
    <section aria-labelledby="sweep-title">
      <h2 id="sweep-title">From the neighbours to the words</h2>
      <p class="soft">
        The same prompt and seed with five values of eta. At 0 every step follows the neighbours, at 1 every step
        follows the words.
      </p>
      <p>
        <button type="button" disabled={!able || neighbors === 0} onClick={drawSweep}>
          Draw all five
        </button>{" "}
        <span class="soft small" role="status">
          {neighbors === 0
            ? "It needs a neighbour."
            : sweeping && sweep
              ? `Picture ${sweep.cell + 1} of 5, step ${sweep.step} of ${steps}`
              : ""}
        </span>
      </p>
      <div class="sheet" hidden={!sweep}>
        <canvas
          id="sweep"
          role="img"
          aria-label={`${sweep?.order.recipe.prompt ?? "No pictures yet"}, with eta from 0 to 1`}
          style={{ aspectRatio: ratio(sweptEtas.length, 1) }}
        />
        <div class="etas">
          {sweptEtas.map((eta) => (
            <button key={eta} type="button" class="link" onClick={() => change({ mode: "interleaved", eta })}>
              eta {eta}
            </button>
          ))}
        </div>
      </div>
    </section>
  );
}

function ratio(columns: number, rows: number): string {
  const side = (tiles: number) => tiles * (64 + tileGap) - tileGap;
  return `${side(columns)} / ${side(rows)}`;
}
