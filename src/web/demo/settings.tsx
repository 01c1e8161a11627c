// Sliders and fields for everything that a recipe leaves to its user.
import type { ComponentChildren } from "preact";
import { change, rollSeed } from "./actions.ts";
import type { Recipe } from "./protocol.ts";
import { modeNames, ranges, samplerNames, seedLimit } from "./recipe.ts";
import { useStore } from "./store.ts";

type Slid = keyof typeof ranges;

/** All settings, folded away on a phone. */
export function Settings() {
  const recipe = useStore((state) => state.recipe);
  const { mode } = recipe;
  const interleaved = mode === "interleaved";
  return (
    <section class="settings" aria-labelledby="settings-title">
      <h2 id="settings-title">Settings</h2>
      <div class="grid">
        <Slider recipe={recipe} name="k" label="k" help="neighbours to find" />
        <Slider
          recipe={recipe}
          name="eta"
          label="eta"
          help={interleaved ? "0: neighbours lead, 1: words lead" : "of interleaved guidance only"}
          disabled={!interleaved}
        />
        <Slider
          recipe={recipe}
          name="gammaP"
          label="gamma, text"
          help="weight of the words; 1 is none"
          disabled={mode === "neighbor-only" || mode === "none"}
        />
        <Slider
          recipe={recipe}
          name="gammaN"
          label="gamma, neighbours"
          help="of the neighbours; 1 is none"
          disabled={mode === "text-only" || mode === "entangled" || mode === "none"}
        />
        <Slider recipe={recipe} name="steps" label="steps" help="from noise to picture" />
        <Field label="seed" for="seed" help="the noise it starts from">
          <div class="seed">
            <input
              id="seed"
              type="number"
              min={0}
              max={Number.MAX_SAFE_INTEGER}
              step={1}
              value={recipe.seed}
              onInput={(event) => {
                const seed = event.currentTarget.valueAsNumber;
                if (Number.isSafeInteger(seed) && seed >= 0) change({ seed });
              }}
            />
            <button type="button" aria-label="Another seed" title={`A seed below ${seedLimit}`} onClick={rollSeed}>
              <svg viewBox="0 0 24 24" aria-hidden="true">
                <rect x="3.5" y="3.5" width="17" height="17" rx="4" />
                <path d="M8.5 8.5v.01M15.5 15.5v.01M15.5 8.5v.01M8.5 15.5v.01M12 12v.01" />
              </svg>
            </button>
          </div>
        </Field>
        <Choice recipe={recipe} name="sampler" label="sampler" names={samplerNames} />
        <Choice recipe={recipe} name="mode" label="guidance" names={modeNames} />
      </div>
    </section>
  );
}

function Field(props: { label: string; for: string; help?: string; value?: string; children: ComponentChildren }) {
  return (
    <div class="setting">
      <label for={props.for}>{props.label}</label>
      {props.value !== undefined && <output for={props.for}>{props.value}</output>}
      {props.children}
      {props.help && (
        <p class="soft small" id={`${props.for}-help`}>
          {props.help}
        </p>
      )}
    </div>
  );
}

function Slider(props: { recipe: Recipe; name: Slid; label: string; help: string; disabled?: boolean }) {
  const { recipe, name, label, help, disabled = false } = props;
  const value = recipe[name];
  return (
    <Field label={label} for={name} help={help} value={String(value)}>
      <input
        id={name}
        type="range"
        {...ranges[name]}
        value={value}
        disabled={disabled}
        aria-describedby={`${name}-help`}
        onInput={(event) => change({ [name]: event.currentTarget.valueAsNumber })}
      />
    </Field>
  );
}

function Choice<N extends "sampler" | "mode">(props: {
  recipe: Recipe;
  name: N;
  label: string;
  names: Readonly<Record<Recipe[N], string>>;
}) {
  const { recipe, name, label, names } = props;
  return (
    <Field label={label} for={name}>
      <select id={name} value={recipe[name]} onChange={(event) => change({ [name]: event.currentTarget.value })}>
        {(Object.entries(names) as [string, string][]).map(([value, words]) => (
          <option key={value} value={value}>
            {words}
          </option>
        ))}
      </select>
    </Field>
  );
}
