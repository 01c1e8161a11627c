// Philox 4x32-10, the counter-based random generator of the engine (Salmon et al., "Parallel random numbers", 2011).
import { checkInteger } from "./range.ts";

/** Four 32-bit words, each a whole number in [0, 2^32). */
export type Words = [number, number, number, number];

/**
 * The last word of a counter says what the numbers are for, so that no two uses of a seed share numbers. The first
 * words count within the use: block of four elements and step for noise, step for guidance.
 */
export const stream = { noise: 0, guidance: 1 } as const;

const rounds = 10;

/** Four random words for a counter and a key. */
export function philox4x32(counter: Words, key: readonly [number, number]): Words {
  let [a, b, c, d] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < rounds; round++) {
    const [high0, low0] = multiply(0xd2511f53, a);
    const [high1, low1] = multiply(0xcd9e8d57, c);
    [a, b, c, d] = [(high1 ^ b ^ k0) >>> 0, low1, (high0 ^ d ^ k1) >>> 0, low0];
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  return [a, b, c, d];
}

/** The key of a seed, a whole number in [0, 2^53): its low and high words. Throws `argument` otherwise. */
export function keyOf(seed: number): [number, number] {
  checkInteger("seed", seed, 0, Number.MAX_SAFE_INTEGER);
  return [seed % 2 ** 32, Math.floor(seed / 2 ** 32)];
}

/** A number in [0, 1) from a word's upper 24 bits, which f32 holds exactly. */
export function uniform(word: number): number {
  return (word >>> 8) * 2 ** -24;
}

// High and low words of a 64-bit product, by 16-bit halves since JavaScript's integers end at 53 bits.
function multiply(x: number, y: number): [number, number] {
  const xLow = x & 0xffff;
  const xHigh = x >>> 16;
  const yLow = y & 0xffff;
  const yHigh = y >>> 16;
  const middle = xHigh * yLow + ((xLow * yLow) >>> 16);
  const carried = xLow * yHigh + (middle % 0x10000);
  const high = xHigh * yHigh + Math.floor(middle / 0x10000) + Math.floor(carried / 0x10000);
  return [high, Math.imul(x, y) >>> 0];
}
