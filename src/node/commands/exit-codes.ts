// What the command line's exit codes mean.
import { type ErrorCode, ReimagenError } from "../../errors.ts";

const exitCodes: Readonly<Record<ErrorCode, number>> = {
  kernel: 1,
  shape: 1,
  argument: 2,
  prompt: 2,
  checkpoint: 3,
  config: 3,
  database: 3,
  dtype: 3,
  picture: 3,
  tensor: 3,
  output: 4,
  "device-lost": 5,
  limit: 5,
  "no-adapter": 5,
  "not-finite": 6,
  aborted: 130,
};

/** For a command line that cannot be understood. */
export const usageExitCode = 2;

/** The exit code for whatever was thrown. */
export function exitCodeOf(error: unknown): number {
  return error instanceof ReimagenError ? exitCodes[error.code] : 1;
}

/** The section of `--help` that says it. */
export const exitCodeHelp = `
Exit codes:
  0    done
  1    unexpected error
  2    wrong usage, argument or prompt
  3    bad input file: picture, model, configuration or database
  4    the output cannot be written
  5    no adapter, limits too small, or device lost
  6    NaN or infinity in weights or results
  130  aborted`;
