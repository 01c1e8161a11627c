// The one error type of the engine: a clear sentence for people, a code for programs.

/** What went wrong, for a program to branch on. */
export type ErrorCode =
  | "aborted" // the caller's AbortSignal fired
  | "argument" // an option or argument out of its range
  | "checkpoint" // a weights file that is truncated, inconsistent or of a wrong dtype
  | "config" // a config that is malformed, unsupported or contradicts its weights
  | "database" // a neighbour database that is malformed
  | "device-lost" // the GPU device went away
  | "dtype" // an operand of the wrong element type
  | "kernel" // a shader that does not compile, or that no variant can run
  | "limit" // the adapter's limits are too small
  | "no-adapter" // no WebGPU adapter at all
  | "not-finite" // NaN or infinity in weights or results
  | "output" // a file that cannot be written
  | "picture" // a picture that is missing or cannot be decoded
  | "prompt" // nothing to draw, or a prompt that cannot be encoded
  | "shape" // operands whose shapes do not fit
  | "tensor"; // a checkpoint tensor that is missing or misshapen

/** Every error that the engine throws on purpose; `message` is one sentence naming the thing, what was expected and what came. */
export class ReimagenError extends Error {
  override readonly name = "ReimagenError";

  constructor(
    readonly code: ErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
