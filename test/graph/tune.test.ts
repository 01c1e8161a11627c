// Tuning measures, gates by correctness, remembers, and is obeyed.
import { describe, expect, it } from "vitest";
import { createEngine } from "../../src/diffusion/engine.ts";
import { type Choice, choose } from "../../src/graph/choose.ts";
import { compileGraph } from "../../src/graph/compile.ts";
import { createExecutor } from "../../src/graph/executor.ts";
import { GraphBuilder } from "../../src/graph/graph.ts";
import { bytesOfType } from "../../src/graph/plan.ts";
import { tuneStage } from "../../src/graph/tune.ts";
import { kindOf, readTuning, type Tuned, writeTuning } from "../../src/graph/tuning.ts";
import { type AddAttributes, add } from "../../src/ops/add.ts";
import type { Op } from "../../src/ops/op.ts";
import { filesOf, neighbors } from "../diffusion/tiny-engine.ts";
import { inNode, testGpu } from "../gpu.ts";
import { Random } from "../ops/harness.ts";
import { tinyModel } from "../tiny-model.ts";
import { someTraits } from "./graphs.ts";

const [vec4, simple] = add.variants;

/** The sum, with a kernel that does nothing much, and is therefore the fastest, before the right ones. */
function withWrongKernel(code: (right: string) => string, others = add.variants): Op<AddAttributes> {
  const wrong: (typeof add.variants)[number] = {
    name: "add.wrong",
    suits: "any",
    launch: (...told) => {
      const launch = vec4!.launch(...told);
      return { ...launch, kernel: { ...launch.kernel, name: "add.wrong", code: code(launch.kernel.code) } };
    },
  };
  return { ...add, variants: [wrong, ...others] };
}

const wrongKernels: [string, (right: string) => string][] = [
  ["writes nothing", (right) => right.replace(/y\[index\] = .*;/, "if (index == 0xffffffffu) { $& }")],
  ["is a little off", (right) => right.replace("load_a4(a[index]) +", "load_a4(a[index]) * 1.001 +")],
  ["writes NaN", (right) => right.replace("load_b4(b[at])", "load_b4(b[at]) / (f32(at) * 0.0)")],
  ["leaves out the last", (right) => right.replace("arrayLength(&y))", "arrayLength(&y) - 1u)")],
];

/** Tunes y = a + b for tensors of so many channels, and chooses. */
async function tuned(op: Op<AddAttributes>, channels: number): Promise<{ found: Map<string, Tuned>; choice: Choice }> {
  const gpu = await testGpu();
  const g = new GraphBuilder();
  const [a, b] = ["a", "b"].map((name) => g.input(name, [3, channels], "step"));
  g.output("y", g.apply(op, [a!, b!], { activation: "none" }));
  const plan = compileGraph(g.finish(), gpu.traits);
  const executor = await createExecutor(gpu, plan, new Map());
  const random = new Random(9);
  for (const name of ["a", "b"])
    executor.write(
      name,
      Float32Array.from({ length: 3 * channels }, () => random.normal()),
    );
  const found = new Map<string, Tuned>();
  await tuneStage(gpu, executor, "step", found);
  executor.dispose();
  return { found, choice: choose(plan.schedule.step[0]!.node, gpu.traits, found) };
}

describe("a wrong kernel that comes first and is fast", () => {
  it.each(wrongKernels)("%s: is found out by the reference and never chosen", async (_, code) => {
    const { found, choice } = await tuned(withWrongKernel(code), 64);
    const [{ ranking, wrong }] = [...found.values()] as [Tuned];
    expect(wrong).toEqual(["add.wrong"]);
    expect(ranking.map(({ variant }) => variant).sort()).toEqual(["add.simple", "add.vec4"]);
    expect(choice.variant).toBe(ranking[0]!.variant);
    expect(choice.reason).toMatch(/^measured: [\d.e-]+ ms$/);
    expect(choice.others).toContainEqual({ variant: "add.wrong", reason: "gave a wrong result" });
  });

  it("is found out where the arithmetic is too much for the reference, by the simple kernel", async () => {
    const huge = { ...withWrongKernel(wrongKernels[1]![1], [simple!]), flops: () => 1e9 };
    const gpu = await testGpu();
    const traits = { ...gpu.traits, software: false };
    const g = new GraphBuilder();
    const [a, b] = ["a", "b"].map((name) => g.input(name, [3, 8], "step"));
    g.output("y", g.apply(huge, [a!, b!], { activation: "none" }));
    const executor = await createExecutor(gpu, compileGraph(g.finish(), traits), new Map());
    for (const name of ["a", "b"]) executor.write(name, new Float32Array(24).fill(2));
    const found = new Map<string, Tuned>();
    const hardware = Object.create(gpu, {
      traits: { value: traits },
      device: { value: gpu.device },
      ...Object.fromEntries(
        (["compile", "allocate", "release", "read", "idle"] as const).map((name) => [
          name,
          { value: gpu[name].bind(gpu) },
        ]),
      ),
    });
    await tuneStage(hardware, executor, "step", found);
    executor.dispose();
    expect([...found.values()][0]).toMatchObject({ wrong: ["add.wrong"], ranking: [{ variant: "add.simple" }] });
  });
});

describe("the usual kernel", () => {
  /** The sum with the vec4 kernel twice, the first of them over many times as many workgroups as it needs. */
  const twins = (): Op<AddAttributes> => {
    const usual: (typeof add.variants)[number] = {
      ...vec4!,
      name: "add.usual",
      launch(...told) {
        const { workgroups: needed, ...launch } = vec4!.launch(...told);
        return { ...launch, workgroups: [needed[0] * 4000, needed[1], needed[2]] };
      },
    };
    return { ...add, variants: [usual, vec4!, simple!] };
  };

  it("gives way to one that is clearly faster", async () => {
    const { found, choice } = await tuned(twins(), 64);
    const [{ ranking, wrong }] = [...found.values()] as [Tuned];
    expect(wrong).toEqual([]);
    expect(choice.variant).toBe(ranking[0]!.variant);
    expect(choice.variant).not.toBe("add.usual");
  });
});

describe("a tuning", () => {
  const kind = (channels: number) => {
    const g = new GraphBuilder();
    g.output("y", g.apply(add, [g.input("a", [2, channels], "step"), g.input("b", [channels], "step")], {}));
    return g.finish().nodes[0]!;
  };
  const faster = (variant: string): Tuned => ({
    ranking: [
      { variant, milliseconds: 1 },
      { variant: "add.vec4", milliseconds: 2 },
    ],
    wrong: [],
  });

  it("is obeyed for just the shapes that were measured, and shows the runners-up", () => {
    const tuning = new Map([[kindOf(kind(8)), faster("add.simple")]]);
    const choice = choose(kind(8), someTraits(), tuning);
    expect([choice.variant, choice.reason]).toEqual(["add.simple", "measured: 1.00 ms"]);
    expect(choice.others).toEqual([{ variant: "add.vec4", reason: "measured: 2.00 ms", milliseconds: 2 }]);
    expect(choose(kind(12), someTraits(), tuning)).toMatchObject({ variant: "add.vec4", reason: "fits any adapter" });
  });

  it("that names a kernel which is no more, or which does not fit here, is as none", () => {
    for (const [channels, variant] of [
      [8, "add.forgotten"],
      [6, "add.vec4"],
    ] as const) {
      const tuning = new Map([[kindOf(kind(channels)), faster(variant)]]);
      expect(choose(kind(channels), someTraits(), tuning).reason).toBe("fits any adapter");
    }
  });

  it("survives being written and read; another version is forgotten, what is no tuning is refused", () => {
    const tuning = new Map([[kindOf(kind(8)), faster("add.simple")]]);
    expect(readTuning("t", writeTuning(tuning))).toEqual(tuning);
    expect(readTuning("t", '{"version":0,"kinds":{"x":1}}').size).toBe(0);
    for (const [text, sentence] of [
      ["{", "t is not JSON"],
      ["[]", "t is not a tuning: it has no version"],
      ['{"version":2,"kinds":{"x":{"ranking":[1],"wrong":[]}}}', "t is malformed at x"],
    ])
      expect(() => readTuning("t", text!)).toThrow(sentence);
  });
});

describe("an engine", () => {
  // Some forty contests, which are no others in a browser.
  it.runIf(inNode)(
    "tunes a request once, draws the same picture by what it found, and leaves no memory behind",
    async () => {
      const gpu = await testGpu();
      const engine = await createEngine(gpu, filesOf(tinyModel()));
      const request = { prompt: "a moose", neighbors: neighbors(1), settings: { steps: 2 } };
      const before = gpu.allocatedBytes;
      const plain = await engine.generate(request);
      const tuning = await engine.tune(request);
      // What was computed from weights alone stays with them.
      const { load } = engine.plan(request).schedule;
      const derived = load
        .filter(({ node }) => node.inputs.every((value) => value?.source.kind === "weight"))
        .reduce((sum, { node }) => sum + bytesOfType(node.output.type), 0);
      expect(gpu.allocatedBytes).toBe(before + derived);
      expect(tuning.size).toBeGreaterThan(10);
      for (const [kind, { wrong }] of tuning) expect(wrong, kind).toEqual([]);
      const { schedule } = engine.plan(request);
      const measured = [...schedule.request, ...schedule.step].filter(({ choice }) => choice.others.length > 0);
      const kinds = measured.filter(({ choice }) => choice.reason.startsWith("measured"));
      expect(kinds.length).toBeGreaterThan(20);

      const { pictures } = await engine.generate(request);
      const far = pictures[0]!.pixels.filter((v, i) => Math.abs(v - plain.pictures[0]!.pixels[i]!) > 1);
      expect(far.length).toBe(0);
      expect(await engine.tune(request)).toBe(tuning);
      const next = await createEngine(gpu, filesOf(tinyModel()), { tuning });
      expect(next.plan(request).schedule.step.map(({ choice }) => choice.variant)).toEqual(
        schedule.step.map(({ choice }) => choice.variant),
      );
      for (const each of [engine, next]) each.dispose();
    },
  );

  it("stops tuning when told, and stays usable", async () => {
    const gpu = await testGpu();
    const engine = await createEngine(gpu, filesOf(tinyModel()));
    const controller = new AbortController();
    const tuning = engine.tune(
      { prompt: "a moose" },
      { signal: controller.signal, onProgress: (done) => done === 3 && controller.abort() },
    );
    await expect(tuning).rejects.toMatchObject({ code: "aborted", message: "tuning was aborted" });
    expect((await engine.generate({ prompt: "a moose", settings: { steps: 1 } })).pictures).toHaveLength(1);
    engine.dispose();
  });
});
