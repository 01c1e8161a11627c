// The prompt, and the button that draws it.
import { abort, change, draw } from "./actions.ts";
import { useStore } from "./store.ts";

const examples = ["a moose in the snow", "a flamingo at sunset", "a cup of tea on the moon", "a banana in a forest"];

/** The form at the top. */
export function Prompt() {
  const prompt = useStore((state) => state.recipe.prompt);
  const activity = useStore((state) => state.activity);
  const ready = useStore((state) => state.opening !== undefined && "machine" in state.opening);
  const canDraw = useStore((state) => state.recipe.prompt.trim() !== "" || state.own.length > 0);
  const warnings = useStore((state) => state.warnings);
  return (
    <form
      class="prompt"
      onSubmit={(event) => {
        event.preventDefault();
        document.querySelector("#picture")?.scrollIntoView({ block: "nearest" });
        void draw();
      }}
    >
      <label for="prompt">What to draw</label>
      <div class="field">
        <input
          id="prompt"
          type="text"
          value={prompt}
          maxLength={300}
          autocomplete="off"
          spellcheck={false}
          enterkeyhint="go"
          aria-describedby="prompt-help"
          onInput={(event) => change({ prompt: event.currentTarget.value })}
        />
        {activity === "none" ? (
          <button type="submit" class="main" disabled={!ready || !canDraw}>
            Draw
          </button>
        ) : (
          <button type="button" class="main" onClick={abort}>
            Stop
          </button>
        )}
      </div>
      <p id="prompt-help" class="soft">
        {warnings.length > 0 ? (
          <span class="warning">Note: {warnings.join("; ")}.</span>
        ) : (
          <>
            A thing and a place, such as{" "}
            {examples.map((example, i) => (
              <span key={example}>
                {i > 0 && (i === examples.length - 1 ? " or " : ", ")}
                <button type="button" class="link" onClick={() => change({ prompt: example })}>
                  {example}
                </button>
              </span>
            ))}
            .
          </>
        )}
      </p>
    </form>
  );
}
