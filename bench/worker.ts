// Runs a module in a process of its own and calls it by messages, so that two engines (and their two Dawns) never share one.
import { type ChildProcess, fork } from "node:child_process";

/** A module's methods, called from another process; arguments and results are structured clones. */
export type Methods = Readonly<Record<string, (argument: never) => unknown>>;

/** A running process. */
export interface Worker<M extends Methods> {
  /** Rejects with what the method threw, or when the process dies. */
  call<Name extends keyof M & string>(
    name: Name,
    argument?: Parameters<M[Name]>[0],
  ): Promise<Awaited<ReturnType<M[Name]>>>;
  stop(): void;
}

interface Answer {
  readonly result?: unknown;
  readonly error?: string;
}

/** Starts a module that calls `serve`; what it writes to stderr is shown only when it dies of it. */
export function startWorker<M extends Methods>(
  module: URL,
  options: { readonly argv?: readonly string[]; readonly environment?: Readonly<Record<string, string>> } = {},
): Worker<M> {
  const child = fork(module, [...(options.argv ?? [])], {
    serialization: "advanced",
    env: { ...process.env, ...options.environment },
    stdio: ["ignore", "inherit", "pipe", "ipc"],
  });
  const complaints: string[] = [];
  child.stderr?.on("data", (text) => complaints.push(String(text)));
  return {
    async call(name, argument) {
      const { result, error } = await ask(child, { name, argument }, complaints);
      if (error !== undefined) throw new Error(`${module.pathname.split("/").at(-1)}: ${error}`);
      return result as never;
    },
    stop: () => void child.kill("SIGKILL"),
  };
}

/** Answers calls for as long as the process lives. */
export function serve(methods: Methods): void {
  process.on("message", async ({ name, argument }: { name: string; argument: never }) => {
    let answer: Answer;
    try {
      answer = { result: await methods[name]!(argument) };
    } catch (error) {
      answer = { error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
    process.send!(answer);
  });
}

function ask(child: ChildProcess, message: object, complaints: readonly string[]): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const died = (code: number | null, signal: string | null) =>
      reject(new Error(`${child.spawnargs.at(-1)} died with ${signal ?? code}: ${complaints.join("")}`));
    child.once("exit", died);
    child.once("message", (answer: Answer) => {
      child.off("exit", died);
      resolve(answer);
    });
    child.send(message, (error) => error && reject(error));
  });
}
