// Which evaluations guidance asks for, step by step, and the random numbers behind the choice.
import { expect, test } from "vitest";
import { type GuidanceSettings, guidanceSteps } from "../../src/diffusion/guidance.ts";
import { keyOf, philox4x32, uniform, type Words } from "../../src/diffusion/philox.ts";
import { defaultSettings, type PartialSettings, samplingSettings } from "../../src/diffusion/settings.ts";

const both = { text: true, neighbors: true };
const neighborsAlone = { text: false, neighbors: true };
const textAlone = { text: true, neighbors: false };
const nothing = { text: false, neighbors: false };

function steps(settings: Partial<GuidanceSettings>, count = 12, seed = 7) {
  const complete = { mode: "interleaved", choice: "periodic", eta: 0.5, gammaP: 3, gammaN: 2, ...settings } as const;
  return guidanceSteps(complete, count, seed);
}

/** The step sequence as letters: t for text-enhanced, n for neighbor-enhanced. */
const letters = (settings: Partial<GuidanceSettings>, count?: number, seed?: number) =>
  steps(settings, count, seed)
    .map(({ base }) => (base?.text ? "n" : "t"))
    .join("");

test("Philox 4x32-10 gives the known answers of the Random123 distribution", () => {
  const answers: [Words, [number, number], Words][] = [
    [
      [0, 0, 0, 0],
      [0, 0],
      [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
    ],
    [
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    ],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ];
  for (const [counter, key, expected] of answers) expect(philox4x32(counter, key)).toEqual(expected);
});

test("a seed fills both words of the key, and a word makes a number in [0, 1)", () => {
  expect(keyOf(2 ** 53 - 1)).toEqual([0xffffffff, 0x1fffff]);
  expect(uniform(0)).toBe(0);
  expect(uniform(0xffffffff)).toBe(1 - 2 ** -24);
});

test("a text-enhanced step weighs both against neighbors alone, a neighbor-enhanced one against text alone", () => {
  expect(steps({ mode: "text-only" }, 2)).toEqual(
    Array(2).fill({ conditional: both, base: neighborsAlone, weight: 3 }),
  );
  expect(steps({ mode: "neighbor-only" }, 2)).toEqual(Array(2).fill({ conditional: both, base: textAlone, weight: 2 }));
  expect(steps({ mode: "entangled" }, 2)).toEqual(Array(2).fill({ conditional: both, base: nothing, weight: 3 }));
});

test("without guidance, or where its weight is 1, one evaluation is enough", () => {
  const alone = { conditional: both, base: undefined, weight: 1 };
  expect(steps({ mode: "none" }, 3)).toEqual([alone, alone, alone]);
  expect(steps({ gammaN: 1 }, 2)).toEqual([alone, { conditional: both, base: neighborsAlone, weight: 3 }]);
  expect(steps({ mode: "entangled", gammaP: 1 }, 1)).toEqual([alone]);
});

test("periodic choice takes a text-enhanced step whenever the accumulated eta reaches 1", () => {
  expect(letters({ eta: 0.5 })).toBe("ntntntntntnt");
  expect(letters({ eta: 0.25 })).toBe("nnntnnntnnnt");
  expect(letters({ eta: 0 })).toBe("n".repeat(12));
  expect(letters({ eta: 1 })).toBe("t".repeat(12));
  for (const eta of [0.1, 0.3, 1 / 3, 0.45, 0.7, 0.9]) {
    let sum = 0;
    let expected = "";
    for (let i = 0; i < 200; i++) {
      sum += eta;
      const isText = sum >= 1 - 1e-6;
      if (isText) sum -= 1;
      expected += isText ? "t" : "n";
    }
    expect(letters({ eta }, 200), `eta ${eta}`).toBe(expected);
  }
});

test("random choice depends on the seed alone and takes eta's share of text-enhanced steps", () => {
  const random = { choice: "random" } as const;
  expect(letters(random, 40, 1)).toBe(letters(random, 40, 1));
  expect(letters(random, 40, 1)).not.toBe(letters(random, 40, 2));
  expect(letters(random, 40, 1)).not.toBe(letters(random, 40, 1 + 2 ** 32));
  expect(letters(random, 40, 1).slice(0, 10)).toBe(letters(random, 10, 1));
  expect(letters({ ...random, eta: 0 }, 500)).toBe("n".repeat(500));
  expect(letters({ ...random, eta: 1 }, 500)).toBe("t".repeat(500));
  const share = letters({ ...random, eta: 0.3 }, 10_000).replaceAll("n", "").length / 10_000;
  expect(share).toBeGreaterThan(0.28);
  expect(share).toBeLessThan(0.32);
});

test("settings take defaults for what is missing, also within guidance", () => {
  expect(samplingSettings({})).toEqual(defaultSettings);
  const settings = samplingSettings({ sampler: "dpm-solver++", steps: 20, seed: undefined, guidance: { eta: 0.2 } });
  expect(settings).toMatchObject({ sampler: "dpm-solver++", steps: 20, seed: 0 });
  expect(settings.guidance).toEqual({ ...defaultSettings.guidance, eta: 0.2 });
});

test("settings out of range are refused with the name of the setting", () => {
  const cases: [PartialSettings, RegExp][] = [
    [{ steps: 0 }, /^steps must be a whole number of at least 1, got 0$/],
    [{ steps: -1 }, /^steps/],
    [{ steps: 1.5 }, /^steps/],
    [{ etaDdim: -0.1 }, /^etaDdim must be in \[0, 1\], got -0.1$/],
    [{ seed: -1 }, /^seed/],
    [{ seed: 0.5 }, /^seed/],
    [{ guidance: { eta: 1.01 } }, /^eta must be in \[0, 1\], got 1.01$/],
    [{ guidance: { gammaP: -1 } }, /^gammaP must be a finite number of at least 0, got -1$/],
    [{ guidance: { gammaN: Number.POSITIVE_INFINITY } }, /^gammaN/],
    [{ guidance: { mode: "both" as "none" } }, /^guidance mode must be one of interleaved, .*, got both$/],
    [{ thresholding: { kind: "static", range: 0 } }, /^thresholding range/],
    [{ thresholding: { kind: "dynamic", quantile: 95, max: 1.5 } }, /^thresholding quantile/],
    [{ thresholding: { kind: "dynamic", quantile: 0.95, max: 0.5 } }, /^thresholding max/],
  ];
  for (const [settings, message] of cases) {
    const refused = expect.objectContaining({ code: "argument", message: expect.stringMatching(message) });
    expect(() => samplingSettings(settings), JSON.stringify(settings)).toThrow(refused);
  }
});
