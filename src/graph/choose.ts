// Pass: picks for each node the kernel that runs it on the adapter at hand.
import { ReimagenError } from "../errors.ts";
import type { DeviceTraits } from "../gpu/traits.ts";
import { type Launch, showShape, type Variant } from "../ops/op.ts";
import type { Node } from "./graph.ts";
import { bestOf, type Tuned, type Tuning } from "./tuning.ts";

/** The kernel of a node, and why this one. */
export interface Choice {
  readonly variant: string;
  readonly reason: string;
  readonly launch: Launch;
  /** Variants passed over: name and why, with the time a run where it was measured. */
  readonly others: readonly { readonly variant: string; readonly reason: string; readonly milliseconds?: number }[];
}

/** One way to run a node. */
export interface Candidate {
  readonly variant: string;
  readonly launch: Launch;
}

/** Every kernel that can run a node on this device, in the op's order of preference. */
export function candidatesOf(node: Node, traits: DeviceTraits): Candidate[] {
  const { types, output } = typesOf(node);
  return fittingOf(node, traits).fitting.map((variant) => ({
    variant: variant.name,
    launch: variant.launch(types, output, node.attributes, traits),
  }));
}

/**
 * The variant that was measured to be fastest, where this kind of node was measured; else the first in the op's order of preference that can
 * run, suits the adapter and is not unfavoured on these shapes; else the first that can run. Throws `kernel` when none can.
 */
export function choose(node: Node, traits: DeviceTraits, tuning: Tuning = new Map()): Choice {
  const { types, output } = typesOf(node);
  const adapter = traits.software ? "software" : "hardware";
  const { fitting, others } = fittingOf(node, traits);
  const best = bestOf(tuning, node);
  const measured = fitting.find(({ name }) => name === best?.variant);
  const disfavour = ({ unfavoured }: Variant<unknown>) => unfavoured?.(types, output, node.attributes, traits);
  const suited = fitting
    .filter((variant) => variant.suits === "any" || variant.suits === adapter)
    .find((variant) => !disfavour(variant));
  const chosen = measured ?? suited ?? fitting[0];
  if (!chosen)
    throw new ReimagenError(
      "kernel",
      `no kernel can run ${node.op.name} ${showShape(output.shape)} ${output.dtype} (${node.label}): ${others.map((o) => `${o.variant}: ${o.reason}`).join("; ")}`,
    );
  const unmeasured = (variant: Variant<unknown>) =>
    variant.suits === "any" || variant.suits === adapter
      ? (disfavour(variant) ?? "comes later")
      : `for ${variant.suits}`;
  const ranking = measured ? best!.tuned.ranking : [];
  for (const variant of fitting) {
    if (variant === chosen) continue;
    const time = ranking.find((entry) => entry.variant === variant.name)?.milliseconds;
    others.push({
      variant: variant.name,
      reason: (measured && best && measurementOf(best.tuned, variant.name)) || unmeasured(variant),
      ...(time !== undefined && { milliseconds: time }),
    });
  }
  return {
    variant: chosen.name,
    reason:
      (measured && best && measurementOf(best.tuned, chosen.name)) ||
      (suited ? (chosen.suits === "any" ? "fits any adapter" : `first for ${adapter}`) : "the only one that fits"),
    launch: chosen.launch(types, output, node.attributes, traits),
    others,
  };
}

function measurementOf({ ranking, wrong }: Tuned, variant: string): string | undefined {
  if (wrong.includes(variant)) return "gave a wrong result";
  const measured = ranking.find((entry) => entry.variant === variant);
  return measured && `measured: ${measured.milliseconds.toPrecision(3)} ms`;
}

function typesOf(node: Node) {
  return { types: node.inputs.map((value) => value?.type ?? null), output: node.output.type };
}

function fittingOf(node: Node, traits: DeviceTraits) {
  const { types, output } = typesOf(node);
  const fitting: Variant<unknown>[] = [];
  const others: Choice["others"][number][] = [];
  for (const variant of node.op.variants) {
    const reason = variant.unfit?.(traits, types, output, node.attributes);
    if (reason) others.push({ variant: variant.name, reason });
    else fitting.push(variant);
  }
  return { fitting, others };
}
