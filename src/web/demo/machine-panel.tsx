// What the page runs on, and what it keeps in the browser.
import { forget } from "./actions.ts";
import { useStore } from "./store.ts";

/** Adapter, driver, fast paths and storage. */
export function MachinePanel() {
  const machine = useStore((state) =>
    state.opening && "machine" in state.opening ? state.opening.machine : undefined,
  );
  const kept = useStore((state) => state.kept);
  return (
    <section aria-labelledby="machine-title" class="machine">
      <h2 id="machine-title">This machine</h2>
      {machine ? (
        <>
          <p>
            {machine.adapter}
            {machine.driver && <span class="soft"> ({machine.driver})</span>}
            <span class="soft">
              , drawing{" "}
              {machine.inWorker ? "in a worker" : "on the page itself, as this browser’s workers have no WebGPU canvas"}
              .
            </span>
          </p>
          <dl>
            {machine.fastPaths.map(({ name, on, words }) => (
              <div key={name} class={on ? "on" : "off"}>
                <dt>
                  {name} <span class="state">{on ? "on" : "off"}</span>
                </dt>
                <dd class="soft">{words}</dd>
              </div>
            ))}
          </dl>
        </>
      ) : (
        <p class="soft">What draws here, and which of its fast paths are off, appears once the model is loaded.</p>
      )}
      <p class="soft">
        {kept > 0
          ? `${Math.round(kept / 1e6)} MB of weights and pictures are kept in this browser, for the next visit and for when there is no network. `
          : "Nothing is kept in this browser. "}
        {kept > 0 && (
          <button type="button" class="link" onClick={forget}>
            Forget them
          </button>
        )}
      </p>
      <p class="soft small">
        The same engine inside apps: <a href="examples/gallery/">a gallery to walk in</a>,{" "}
        <a href="examples/three/">a three.js scene</a>, <a href="examples/sprites/">a sprite maker</a>.
      </p>
      <p class="soft small">
        The pictures in the database are under their own licences:{" "}
        <a href="weights/emoji-db/LICENSES.md">who drew them</a>.
      </p>
    </section>
  );
}
