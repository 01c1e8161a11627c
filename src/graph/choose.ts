// Pass: picks for each node the kernel that runs it on the adapter at hand.
import { ReimagenError } from "../errors.ts";
import type { DeviceTraits } from "../gpu/gpu.ts";
import { type Launch, showShape, type Variant } from "../ops/op.ts";
import type { Node } from "./graph.ts";

/** The kernel of a node, and why this one. */
export interface Choice {
  readonly variant: string;
  readonly reason: string;
  readonly launch: Launch;
  /** Variants passed over: name and why. */
  readonly others: readonly { readonly variant: string; readonly reason: string }[];
}

/** The first variant in the op's order of preference that can run and suits the adapter; else the first that can run. Throws `kernel` when none can. */
export function choose(node: Node, traits: DeviceTraits): Choice {
  const types = node.inputs.map((value) => value?.type ?? null);
  const output = node.output.type;
  const adapter = traits.software ? "software" : "hardware";
  const fitting: Variant<unknown>[] = [];
  const others: { variant: string; reason: string }[] = [];
  for (const variant of node.op.variants) {
    const reason = variant.unfit?.(traits, types, output, node.attributes);
    if (reason) others.push({ variant: variant.name, reason });
    else fitting.push(variant);
  }
  const suited = fitting.find((variant) => variant.suits === "any" || variant.suits === adapter);
  const chosen = suited ?? fitting[0];
  if (!chosen)
    throw new ReimagenError(
      "kernel",
      `no kernel can run ${node.op.name} ${showShape(output.shape)} ${output.dtype} (${node.label}): ${others.map((o) => `${o.variant}: ${o.reason}`).join("; ")}`,
    );
  for (const variant of fitting)
    if (variant !== chosen)
      others.push({
        variant: variant.name,
        reason: variant.suits === "any" || variant.suits === adapter ? "comes later" : `for ${variant.suits}`,
      });
  return {
    variant: chosen.name,
    reason: suited ? (chosen.suits === "any" ? "fits any adapter" : `first for ${adapter}`) : "the only one that fits",
    launch: chosen.launch(types, output, node.attributes, traits),
    others,
  };
}
