// The step in PyTorch, in a Python process of its own: `torch_step.py` says how the two speak.
import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import type { Feeds } from "./onnxruntime.ts";

/** PyTorch, running. */
export interface Torch {
  readonly version: string;
  /** The ways in which it can run the step here: `CPU, eager`, or those of CUDA. */
  readonly ways: readonly string[];
  /** Compiles and runs the step once; resolves to its result. */
  prepare(way: string, inputs: Feeds): Promise<Float32Array>;
  /** Milliseconds of one step, from its inputs on the CPU to its result on the CPU. */
  step(way: string): Promise<number>;
  stop(): void;
}

/** Starts `python3` with PyTorch; undefined where it has none. */
export async function startTorch(): Promise<Torch | undefined> {
  const script = fileURLToPath(new URL("./torch_step.py", import.meta.url));
  const child = spawn("python3", [script], { stdio: ["pipe", "pipe", "ignore"] });
  // Asked for again with the first answer: without Python there is none.
  child.on("error", () => undefined);
  const answers = answersOf(child);
  const first = (await answers.next()).value;
  if (!first) return undefined;
  const { version, ways } = first.facts as Pick<Torch, "version" | "ways">;
  const ask = async (request: object, ...values: readonly Float32Array[]) => {
    child.stdin.write(`${JSON.stringify(request)}\n`);
    for (const { buffer, byteOffset, byteLength } of values)
      child.stdin.write(new Uint8Array(buffer, byteOffset, byteLength));
    const { value } = await answers.next();
    if (!value) throw new Error(`PyTorch's process ended; python3 ${script} says why`);
    return value;
  };
  return {
    version,
    ways,
    async prepare(way, inputs) {
      const tensors = Object.values(inputs);
      const { bytes } = await ask(
        { way, shapes: tensors.map(({ shape }) => shape) },
        ...tensors.map(({ data }) => data),
      );
      return new Float32Array(Uint8Array.from(bytes).buffer);
    },
    step: async (way) => ((await ask({ way })).facts as { ms: number }).ms,
    stop: () => void child.kill("SIGKILL"),
  };
}

interface Answer {
  readonly facts: object;
  readonly bytes: Uint8Array;
}

/** A line of JSON and, behind it, as many bytes as it tells; ends with the process. */
async function* answersOf({
  stdout,
}: ChildProcessByStdio<Writable, Readable, null>): AsyncGenerator<Answer, undefined> {
  let got = Buffer.alloc(0);
  for await (const chunk of stdout) {
    got = Buffer.concat([got, chunk as Buffer]);
    for (let end = got.indexOf(10); end >= 0; end = got.indexOf(10)) {
      const facts = JSON.parse(got.toString("utf8", 0, end)) as { bytes: number };
      if (got.length < end + 1 + facts.bytes) break;
      yield { facts, bytes: got.subarray(end + 1, end + 1 + facts.bytes) };
      got = got.subarray(end + 1 + facts.bytes);
    }
  }
  return undefined;
}
