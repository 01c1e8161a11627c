// What people see besides the result: notes and progress bars, on stderr and only where that is a terminal; warnings always.

/** A progress bar for one kind of work after the other. */
export interface Progress {
  /** Shows how far this work is; a new label begins a new bar. */
  show(label: string, done: number, total: number): void;
  /** Takes the bar away. */
  stop(): void;
}

/** Tells people something; programs and log files are spared. */
export function note(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`${text}\n`);
}

/** Tells of something that may not be as the user expects. */
export function warn(text: string): void {
  process.stderr.write(`reimagen: warning: ${text}\n`);
}

/** Writes (part of) the result. */
export function result(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Writes the result for programs. */
export function jsonResult(value: unknown): void {
  result(JSON.stringify(value, null, 2));
}

/** Progress bars on stderr; where that is no terminal, nothing. */
export async function openProgress(): Promise<Progress> {
  if (!process.stderr.isTTY) return { show: () => undefined, stop: () => undefined };
  const { SingleBar } = await import("cli-progress");
  let current: { label: string; bar: InstanceType<typeof SingleBar> } | undefined;
  const stop = () => {
    current?.bar.stop();
    current = undefined;
  };
  const start = (label: string, total: number) => {
    const format = `${label.padEnd(16)} [{bar}] {percentage}% | {eta_formatted} left`;
    const bar = new SingleBar({ stream: process.stderr, format, clearOnComplete: true, hideCursor: true });
    bar.start(total, 0);
    return { label, bar };
  };
  return {
    show(label, done, total) {
      if (current?.label !== label) {
        stop();
        current = start(label, total);
      }
      current.bar.update(done);
    },
    stop,
  };
}
