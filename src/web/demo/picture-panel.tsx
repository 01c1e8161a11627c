// The picture as it forms, the estimate beside it, and what can be done with it.
import { copyLink, savePicture, saveSheet } from "./actions.ts";
import { adviceFor } from "./advice.ts";
import { Loading } from "./loading.tsx";
import { useStore } from "./store.ts";

/** The large canvas and all around it. */
export function PicturePanel() {
  const missing = useStore((state) =>
    state.opening && "missing" in state.opening ? state.opening.missing : undefined,
  );
  const order = useStore((state) => state.order);
  const finished = useStore((state) => state.drawn !== undefined);
  const prompt = order?.recipe.prompt ?? "";
  return (
    <section class="picture" aria-labelledby="picture-title">
      <h2 id="picture-title" class="unseen">
        Picture
      </h2>
      {missing && <Missing what={missing} />}
      <div class="easel" hidden={missing !== undefined}>
        <div class="stage">
          <canvas
            id="picture"
            role="img"
            aria-label={order ? `${finished ? "Picture" : "Forming picture"} of ${prompt}` : "No picture yet"}
          />
          {!order && !missing && <Loading />}
        </div>
        <div class="beside">
          <figure>
            <canvas
              id="estimate"
              role="img"
              aria-label={order ? `The model’s estimate of ${prompt}` : "No estimate yet"}
            />
            <figcaption class="soft small">{order && !finished ? "what it expects to get" : "the estimate"}</figcaption>
          </figure>
          <Progress />
        </div>
      </div>
      <div class="actions" hidden={missing !== undefined}>
        <button type="button" disabled={!finished} onClick={savePicture}>
          Save picture
        </button>
        <button type="button" disabled={!finished} onClick={saveSheet}>
          Save contact sheet
        </button>
        <button type="button" disabled={!finished} onClick={copyLink}>
          Copy link
        </button>
      </div>
      <LinkNote />
    </section>
  );
}

function Progress() {
  const order = useStore((state) => state.order);
  const step = useStore((state) => state.step);
  const activity = useStore((state) => state.activity);
  const compiling = useStore((state) => state.compiling);
  const drawn = useStore((state) => state.drawn);
  if (!order) return null;
  const { steps, seed } = order.recipe;
  const drawing = activity === "drawing";
  return (
    <div class="progress-words">
      <progress max={steps} value={step} aria-label="Steps done" />
      <p class="count" aria-hidden="true">
        {step}
        <span class="soft"> of {steps}</span>
      </p>
      <p class="soft small" role="status">
        {drawn
          ? `Drawn in ${drawn.seconds.toFixed(drawn.seconds < 10 ? 1 : 0)} s from seed ${seed}.`
          : drawing
            ? compiling
              ? `Compiling kernels: ${compiling.loaded} of ${compiling.total}`
              : "Drawing …"
            : `Stopped after step ${step}.`}
      </p>
    </div>
  );
}

function LinkNote() {
  const own = useStore((state) => (state.drawn ? (state.order?.own.length ?? 0) : 0));
  if (own === 0) return null;
  return (
    <p class="soft small">
      The link finds the database’s neighbours again; {own === 1 ? "your own picture stays" : "your own pictures stay"}{" "}
      on this device, so it draws without {own === 1 ? "it" : "them"}.
    </p>
  );
}

function Missing({ what }: { what: "webgpu" | "adapter" }) {
  const facts = { secure: isSecureContext, hasWebGpu: what === "adapter", userAgent: navigator.userAgent };
  return (
    <div class="missing">
      <p>
        <strong>
          {what === "adapter"
            ? "WebGPU is here, but found no graphics adapter."
            : "This browser has no WebGPU, which drawing needs."}
        </strong>
      </p>
      {adviceFor(facts).map((sentence) => (
        <p key={sentence}>{sentence}</p>
      ))}
      <p>Finding neighbours works all the same: type, and see.</p>
    </div>
  );
}
