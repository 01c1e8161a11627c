// Family `ops`: every op with all its kernels, at the shapes of the shipped model and of full-size U-Nets; checked, then timed.
import { choose } from "../../src/graph/choose.ts";
import { loadKernelsFor } from "../../src/ops/lazy_kernels.ts";
import type { Op, Variant } from "../../src/ops/op.ts";
import { bytesOf, flopsOf, modelCases, type OpCase, operandsOf } from "./cases.ts";
import { bandwidthFor, type Ceilings, rates } from "./ceilings.ts";
import { complaint, type Expectation, expectation } from "./check.ts";
import { sample } from "./clock.ts";
import { type OperandBuffers, prepare, releaseAll, upload } from "./dispatch.ts";
import type { Lab } from "./lab.ts";
import { type Cell, type Measurement, middleHalf, type Section } from "./report.ts";
import { type RooflinePoint, roofline } from "./roofline.ts";
import type { Spread } from "./statistics.ts";
import { unetCases } from "./unets.ts";

/** One kernel at one shape. */
interface Timed {
  readonly entry: OpCase;
  readonly variant: string;
  /** Whether the engine would take it. */
  readonly chosen: boolean;
  readonly result: { readonly ms: Spread; readonly checkedBy: string } | { readonly wrong: string };
}

/** Times the cases that the lab's options let through. */
export async function ops(lab: Lab): Promise<Section> {
  await loadKernelsFor(lab.gpu.traits);
  const ceilings = await lab.ceilings();
  const every = casesFor(lab);
  const cases = every.filter(({ name, set, node }) => `${set} ${name} ${node.op.name}`.includes(lab.filter));
  const plainKernels = new PlainKernels(lab, every);
  const timed: Timed[] = [];
  for (const [i, entry] of cases.entries()) {
    lab.say(`${i + 1}/${cases.length} ${entry.set}: ${entry.name}`);
    timed.push(...(await timeCase(lab, ceilings, plainKernels, entry)));
  }
  return section(lab, ceilings, timed, cases.length);
}

/** All cases for this device: those of full-size models are much for a processor. */
function casesFor({ gpu, config, large }: Lab): OpCase[] {
  const hardware = !gpu.traits.software;
  const storages = hardware || large ? (["f32", "f16"] as const) : (["f32"] as const);
  return [
    ...storages.flatMap((storage) => modelCases(config, storage, gpu.traits.software)),
    ...(hardware || large ? storages.flatMap(unetCases) : []),
  ].filter((entry, i, all) => all.findIndex(({ set, name }) => set === entry.set && name === entry.name) === i);
}

async function timeCase(lab: Lab, ceilings: Ceilings, plain: PlainKernels, entry: OpCase): Promise<Timed[]> {
  const { gpu } = lab;
  const { node } = entry;
  const operands = operandsOf(entry);
  const types = node.inputs.map((value) => value?.type ?? null);
  const chosen = choose(node, gpu.traits).variant;
  const fitting = node.op.variants.filter((v) => !v.unfit?.(gpu.traits, types, node.output.type, node.attributes));
  let buffers: OperandBuffers = [];
  const wrong = (variant: string, why: unknown): Timed => ({
    entry,
    variant,
    chosen: variant === chosen,
    result: { wrong: why instanceof Error ? why.message : String(why) },
  });
  try {
    const expected = await plain.expectation(entry);
    if (!expected) return fitting.map(({ name }) => wrong(name, "nothing here can tell what is right"));
    buffers = upload(gpu, operands);
    const timed: Timed[] = [];
    for (const variant of fitting) {
      const result = await checkAndTime(lab, ceilings, variant, entry, buffers, expected).catch((error) => ({
        wrong: error instanceof Error ? error.message : String(error),
      }));
      timed.push({ entry, variant: variant.name, chosen: variant.name === chosen, result });
    }
    return timed;
  } catch (error) {
    return [wrong(chosen, error)];
  } finally {
    releaseAll(gpu, buffers);
  }
}

async function checkAndTime(
  { gpu, repeats, budget }: Lab,
  { clock }: Ceilings,
  variant: Variant<unknown>,
  { node: { inputs, output, attributes } }: OpCase,
  buffers: OperandBuffers,
  expected: Expectation,
): Promise<Timed["result"]> {
  const types = inputs.map((value) => value?.type ?? null);
  const launch = variant.launch(types, output.type, attributes, gpu.traits);
  const prepared = await prepare(gpu, launch, buffers, types, output.type);
  try {
    const why = complaint(await prepared.read(), expected, output.type);
    if (why) return { wrong: why };
    return { ms: await sample(gpu, clock, prepared.encode, { repeats, budget }), checkedBy: expected.by };
  } finally {
    prepared.dispose();
  }
}

/** Lets a plain kernel stand in for the reference only after it agreed with it at a smaller shape. */
class PlainKernels {
  readonly #lab: Lab;
  readonly #cases: readonly OpCase[];
  readonly #trusted = new Map<Op<unknown>, boolean>();

  constructor(lab: Lab, cases: readonly OpCase[]) {
    this.#lab = lab;
    this.#cases = cases;
  }

  /** What a case should give; undefined where the kernel that would say so is wrong itself. */
  async expectation(entry: OpCase): Promise<Expectation | undefined> {
    const expected = await expectation(this.#lab.gpu, entry, operandsOf(entry));
    if (!expected || expected.by === "f64") return expected;
    return (await this.#trusts(entry.node.op)) ? expected : undefined;
  }

  async #trusts(op: Op<unknown>): Promise<boolean> {
    const known = this.#trusted.get(op);
    if (known !== undefined) return known;
    const trusted = await this.#agrees(op);
    this.#trusted.set(op, trusted);
    return trusted;
  }

  async #agrees(op: Op<unknown>): Promise<boolean> {
    const { gpu } = this.#lab;
    const plain = op.variants.at(-1)!;
    const smaller = this.#cases
      .filter(({ node }) => node.op === op)
      .filter(({ node: { inputs, output, attributes } }) => {
        const types = inputs.map((value) => value?.type ?? null);
        return !plain.unfit?.(gpu.traits, types, output.type, attributes);
      })
      .sort((a, b) => flopsOf(a) - flopsOf(b));
    for (const entry of smaller) {
      const operands = operandsOf(entry);
      const expected = await expectation(gpu, entry, operands);
      if (expected?.by !== "f64") continue;
      const { inputs, output, attributes } = entry.node;
      const types = inputs.map((value) => value?.type ?? null);
      const buffers = upload(gpu, operands);
      const launch = plain.launch(types, output.type, attributes, gpu.traits);
      const prepared = await prepare(gpu, launch, buffers, types, output.type);
      const why = complaint(await prepared.read(), expected, output.type);
      prepared.dispose();
      releaseAll(gpu, buffers);
      return !why;
    }
    return false;
  }
}

/** Share of what the ceilings allow: the time that multiplying or moving alone would take, as a part of the time taken. */
export function shareOfCeiling(ceilings: Ceilings, entry: OpCase, variant: string, ms: number): number {
  const matrix = variant.includes("matrix") ? ceilings.matrix[0] : undefined;
  const peak = (matrix ?? ceilings.f32).rate.median;
  const least = Math.max(flopsOf(entry) / peak, bytesOf(entry) / bandwidthFor(ceilings, bytesOf(entry)));
  return (least * 1e3) / ms;
}

function section(lab: Lab, ceilings: Ceilings, timed: readonly Timed[], cases: number): Section {
  const measurements: Measurement[] = [];
  const points: RooflinePoint[] = [];
  const rows = timed.map(({ entry, variant, chosen, result }): Cell[] => {
    const start: Cell[] = [
      entry.set,
      entry.name,
      entry.uses || "",
      `${variant.split(".").at(-1)}${chosen ? " *" : ""}`,
    ];
    if ("wrong" in result) return [...start, "WRONG", "", "", "", "", result.wrong];
    const { ms, checkedBy } = result;
    const [flops, bytes] = [flopsOf(entry), bytesOf(entry)];
    measurements.push({ name: `${entry.set} ${entry.name}: ${variant}`, unit: "ms", better: "less", ...ms });
    const rate = rates(ms, flops).median / 1e9;
    if (flops)
      points.push({
        group: entry.node.op.name,
        label: `${entry.name}: ${variant}`,
        intensity: flops / bytes,
        rate,
        chosen,
      });
    const share = shareOfCeiling(ceilings, entry, variant, ms.median);
    return [
      ...start,
      ms.median,
      middleHalf(ms),
      flops ? rate : "",
      rates(ms, bytes).median / 1e9,
      share * 100,
      checkedBy,
    ];
  });
  const wrong = timed.filter(({ result }) => "wrong" in result);
  return {
    title: "Ops: every kernel, checked, then timed",
    tables: [
      {
        columns: [
          "from",
          "op and shapes",
          "uses",
          "kernel",
          "ms",
          "middle half",
          "GFLOP/s",
          "GB/s",
          "% of ceiling",
          "checked by",
        ],
        rows,
      },
    ],
    notes: [
      `${cases} shapes, ${timed.length} kernels: ${timed.length - wrong.length} right and timed, ${wrong.length} wrong and not timed. \`*\`: what the engine takes. Uses: dispatches of a step with that shape.`,
      "Ceiling: the longer of computing at the measured multiply-add rate (of matrices for matrix kernels) and of moving each operand once at the bandwidth of a copy of that size; operands are warm, so small ones come from caches.",
      "Checked by `f64`: the op's reference; by a kernel: the plain one, which agreed with the reference at a smaller shape.",
      ...(lab.gpu.traits.software && !lab.large
        ? ["Shapes of full-size U-Nets and f16 storage are left out on a software adapter; `--large` runs them."]
        : []),
      ...(lab.filter ? [`Only what contains "${lab.filter}".`] : []),
    ],
    measurements,
    plots: points.length ? [{ name: "roofline", svg: roofline(ceilings, points) }] : [],
    ...(wrong.length && { failure: `${wrong.length} kernels are wrong` }),
  };
}
