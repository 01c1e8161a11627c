// Family `peers`: the step and its heavy ops beside other engines on the same adapter.
import type { NodeLab } from "../command.ts";
import type { Section } from "../lab/report.ts";
import type { Starter } from "../startup.ts";
import { peersInstalled } from "./onnxruntime.ts";
import { opsBesidePeers } from "./ops.ts";
import { stepBesidePeer } from "./step.ts";

/** The peers whose start can be timed here: none where they are not installed. */
export async function peerStarters(adapter: string): Promise<Starter[]> {
  if (!(await peersInstalled())) return [];
  const module = new URL("./startup.child.ts", import.meta.url);
  return [{ engine: "onnxruntime-node, WebGPU", module, argv: [adapter] }];
}

/** Runs all comparisons. Throws, saying what to do, where the peers are not installed. */
export async function peers(lab: NodeLab): Promise<Section> {
  if (!(await peersInstalled())) throw new Error("the peers are not here; run: npm run bench:peers");
  const parts = [...(lab.filter ? [] : [await stepBesidePeer(lab)]), await opsBesidePeers(lab)];
  return {
    title: "Peers: the same work in other engines, on the same adapter",
    tables: parts.flatMap(({ tables }) => tables),
    notes: parts.flatMap(({ notes }) => notes),
    measurements: parts.flatMap(({ measurements }) => measurements),
  };
}
