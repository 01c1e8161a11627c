// The examples as they are built, and what a test looks at on them.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { AxeResults } from "axe-core";
import type { Page } from "playwright";
import { build } from "vite";
import { type Site, serve } from "../site.ts";

const file = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** Builds all pages into a temporary folder and serves it; `close` removes it. */
export async function builtSite(): Promise<Site> {
  const folder = await mkdtemp(join(tmpdir(), "reimagen-site-"));
  await build({ configFile: file("../../src/web/vite.config.ts"), logLevel: "error", build: { outDir: folder } });
  const site = await serve(folder);
  return {
    url: site.url,
    close: async () => {
      await site.close();
      await rm(folder, { recursive: true });
    },
  };
}

/** Side of what `look` returns. */
export const lookSide = 32;

/** What a canvas shows in its next frame, or the part of it, in shares of its sides, at that size: RGBA bytes, `lookSide` square. */
export function look(page: Page, selector: string, part = { x: 0, y: 0, width: 1, height: 1 }): Promise<number[]> {
  return page.evaluate(
    async ({ selector, part, side }) => {
      const canvas = document.querySelector(selector) as HTMLCanvasElement;
      const shown = await new Promise<ImageBitmap>((resolve, reject) => {
        // After the page's own callback of the same frame, which was asked for earlier.
        requestAnimationFrame(() => requestAnimationFrame(() => createImageBitmap(canvas).then(resolve, reject)));
      });
      const small = new OffscreenCanvas(side, side).getContext("2d")!;
      const { width, height } = shown;
      small.drawImage(
        shown,
        part.x * width,
        part.y * height,
        part.width * width,
        part.height * height,
        0,
        0,
        side,
        side,
      );
      return [...small.getImageData(0, 0, side, side).data];
    },
    { selector, part, side: lookSide },
  );
}

/** Mean difference of two looks, 0 to 255. */
export function difference(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, i) => sum + Math.abs(value - b[i]!), 0) / a.length;
}

/** How far from gray a look is: mean distance of each pixel's strongest and weakest channel, 0 to 255. */
export function colorfulness(pixels: readonly number[]): number {
  let sum = 0;
  for (let i = 0; i < pixels.length; i += 4) {
    const channels = pixels.slice(i, i + 3);
    sum += Math.max(...channels) - Math.min(...channels);
  }
  return sum / (pixels.length / 4);
}

/** What axe-core finds against the page as it stands: each rule with the elements that break it. */
export async function axeViolations(page: Page): Promise<string[]> {
  await page.addScriptTag({ path: file("../../node_modules/axe-core/axe.min.js") });
  const { violations } = await page.evaluate(() =>
    (window as unknown as { axe: { run(): Promise<AxeResults> } }).axe.run(),
  );
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(" ")).join(", ")}`);
}

/** Whether anything reaches over the window's right edge. */
export function overflows(page: Page): Promise<boolean> {
  return page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
}
