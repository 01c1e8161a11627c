// The first visit: one bar for weights, database and compilation.
import type { LoadingPart } from "./protocol.ts";
import { type State, useStore } from "./store.ts";

// A typical share of the first visit's time; bytes of what is downloaded weigh the first two against each other.
const shares: Readonly<Record<LoadingPart, number>> = { weights: 0.6, pictures: 0.2, upload: 0.05, kernels: 0.15 };

/** The bar with what is being done, until a picture can be drawn; then what to do. */
export function Loading() {
  const parts = useStore((state) => state.parts);
  const ready = useStore((state) => state.opening !== undefined);
  const failed = useStore((state) => state.notice?.retry !== undefined);
  if (ready)
    return (
      <div class="overlay">
        <p class="soft">Ready. Press Draw.</p>
      </div>
    );
  return (
    <div class="overlay">
      <progress max={1} value={shareOf(parts)} aria-label="Loading" />
      <p class="soft small" role="status">
        {failed ? "Something is missing; see above." : words(parts)}
      </p>
    </div>
  );
}

function shareOf(parts: State["parts"]): number {
  const names = Object.keys(shares) as LoadingPart[];
  return names.reduce((sum, name) => {
    const { loaded, total } = parts[name] ?? { loaded: 0, total: 1 };
    return sum + shares[name] * (total > 0 ? loaded / total : 1);
  }, 0);
}

function words({ weights, pictures, upload, kernels }: State["parts"]): string {
  if (kernels) return "Compiling kernels for this GPU";
  if (upload) return "Handing the weights to the GPU";
  if (!weights) return "Looking for the model";
  const [loaded, total] = [weights, pictures].reduce(
    ([loaded, total], part) => [loaded! + (part?.loaded ?? 0), total! + (part?.total ?? 0)],
    [0, 0],
  ) as [number, number];
  return `Model and pictures: ${megabytes(loaded)} of ${megabytes(total)} MB, kept for your next visit`;
}

const megabytes = (bytes: number) => Math.round(bytes / 1e6);
