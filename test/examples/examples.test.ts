// The examples in a real browser: each draws on the device it shares with its scene, and says what is wrong when it cannot.
import { readFile } from "node:fs/promises";
import type { Browser, Page } from "playwright";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openBrowser, openPage, type Site } from "../site.ts";
import { axeViolations, builtSite, colorfulness, difference, look, overflows } from "./pages.ts";

/** Few, as a software adapter needs a second or two for each. */
const steps = 2;
const patience = { timeout: 240_000 };

let site: Site;
let browser: Browser;

beforeAll(async () => {
  [site, browser] = await Promise.all([builtSite(), openBrowser()]);
}, 120_000);
afterAll(async () => {
  await browser?.close();
  await site?.close();
});

const submit = (page: Page) => page.locator("button[type=submit]");

/** Waits until the page's button can be pressed and reads so. */
async function ready(page: Page, name: string): Promise<void> {
  await page.locator("button[type=submit]:enabled", { hasText: name }).waitFor(patience);
}

describe.each(["gallery", "three", "sprites"])("%s", (name) => {
  it("is clean to axe-core in light and dark, and fits a phone", async () => {
    const { page } = await openPage(browser, `${site.url}examples/${name}/`, { width: 360, height: 720 });
    await page.locator("button[type=submit]:enabled").waitFor(patience);
    expect(await axeViolations(page)).toEqual([]);
    expect(await overflows(page)).toBe(false);
    await page.emulateMedia({ colorScheme: "dark" });
    expect(await axeViolations(page)).toEqual([]);
    await page.context().close();
  });

  it("says what to do where there is no WebGPU", async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.addInitScript(() => Object.defineProperty(Navigator.prototype, "gpu", { value: undefined }));
    await page.goto(`${site.url}examples/${name}/`);
    await page.locator("#status", { hasText: "needs WebGPU" }).waitFor();
    expect(await page.locator("#status").textContent()).toMatch(/Chrome.*Safari.*Firefox/);
    await context.close();
  });
});

/** Looks at a canvas until the button reads `name` again: each look that differs from the one before. */
async function watch(
  page: Page,
  selector: string,
  name: string,
  part?: Parameters<typeof look>[2],
): Promise<number[][]> {
  const looks = [await look(page, selector, part)];
  const done = ready(page, name).then(() => true);
  for (let last = false; !last; ) {
    last = await Promise.race([done, page.waitForTimeout(100).then(() => false)]);
    const now = await look(page, selector, part);
    if (difference(now, looks.at(-1)!) > 0.5) looks.push(now);
  }
  return looks;
}

it("gallery: a picture forms in its frame while the room goes on being drawn", async () => {
  const url = `${site.url}examples/gallery/?steps=${steps}`;
  const { page, complaints } = await openPage(browser, url, { width: 480, height: 360 });
  await ready(page, "Hang it");
  const entrance = await look(page, "#room");
  expect(new Set(entrance).size).toBeGreaterThan(50);
  await page.locator("#room").press("ArrowLeft", { delay: 400 });
  expect(difference(await look(page, "#room"), entrance)).toBeGreaterThan(2);

  await page.evaluate(countFrames);
  await page.fill("#prompt", "a red apple on the beach");
  await submit(page).click();
  await ready(page, "Stop");
  const before = await page.evaluate("frames");
  const seen = await watch(page, "#room", "Hang it", { x: 0.4, y: 0.35, width: 0.2, height: 0.25 });
  expect(((await page.evaluate("frames")) as number) - (before as number)).toBeGreaterThan(steps);
  expect(seen.length).toBeGreaterThan(1);
  // From gray linen to a picture.
  expect(colorfulness(seen.at(-1)!)).toBeGreaterThan(colorfulness(seen[0]!) + 15);
  expect(complaints).toEqual([]);
  await page.context().close();
});

// Runs in the page: from now on, how often the room has been drawn.
function countFrames(): void {
  Object.assign(globalThis, { frames: 0 });
  const begin = GPUCommandEncoder.prototype.beginRenderPass;
  GPUCommandEncoder.prototype.beginRenderPass = function (descriptor) {
    if (descriptor.label === "gallery") (globalThis as unknown as { frames: number }).frames++;
    return begin.call(this, descriptor);
  };
}

it("three: the material's picture forms in the scene", async () => {
  const { page, complaints } = await openPage(browser, `${site.url}examples/three/?steps=${steps}`, {
    width: 480,
    height: 360,
  });
  await ready(page, "Draw");
  const bare = await look(page, "canvas");
  expect(new Set(bare).size).toBeGreaterThan(50);
  await page.fill("#prompt", "a red apple underwater");
  await submit(page).click();
  await ready(page, "Stop");
  const seen = await watch(page, "canvas", "Draw");
  expect(seen.length).toBeGreaterThan(1);
  expect(colorfulness(seen.at(-1)!)).toBeGreaterThan(colorfulness(bare) + 5);
  await page.selectOption("#shape", "ball");
  await expect.poll(async () => difference(await look(page, "canvas"), seen.at(-1)!), patience).toBeGreaterThan(2);
  expect(complaints).toEqual([]);
  await page.context().close();
});

describe("sprites", () => {
  it("makes a sheet of eight different cells from a drawing", async () => {
    const { page, complaints } = await openPage(browser, `${site.url}examples/sprites/?steps=1`, { height: 900 });
    await ready(page, "Make sprites");
    await drawRedDisc(page);
    await page.fill("#name", "tomato");
    await submit(page).click();
    await page.locator("#status", { hasText: "Eight sprites" }).waitFor(patience);

    const sheet = sharp(await linked(page, "#png"));
    expect(await sheet.metadata()).toMatchObject({ format: "png", width: 256, height: 128 });
    const { frames } = JSON.parse((await linked(page, "#json")).toString());
    expect(Object.keys(frames)).toHaveLength(8);
    const cells: Buffer[] = [];
    for (const { frame, prompt } of Object.values(frames) as {
      frame: Record<"x" | "y" | "w" | "h", number>;
      prompt: string;
    }[]) {
      expect(prompt).toMatch(/^a tomato /);
      const { x: left, y: top, w: width, h: height } = frame;
      cells.push(await sheet.clone().extract({ left, top, width, height }).raw().toBuffer());
    }
    for (const [i, a] of cells.entries())
      for (const b of cells.slice(i + 1)) expect(difference([...a], [...b])).toBeGreaterThan(3);

    // What is on the screen, under the captions, is what is in the file.
    await page.addStyleTag({ content: "#sheet ol { display: none }" });
    const shown = sharp(await page.locator("#sheet canvas").screenshot()).resize(256, 128, { kernel: "nearest" });
    expect(
      difference([...(await shown.removeAlpha().raw().toBuffer())], [...(await sheet.removeAlpha().raw().toBuffer())]),
    ).toBeLessThan(8);
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  it("stops when told, and takes a dropped picture and its name", async () => {
    const { page, complaints } = await openPage(browser, `${site.url}examples/sprites/?steps=20`);
    await ready(page, "Make sprites");
    const pineapple = new URL("../../src/web/examples/gallery/hung/pineapple-on-the-beach.png", import.meta.url);
    await page.setInputFiles("#file", {
      name: "pine-apple.png",
      mimeType: "image/png",
      buffer: await readFile(pineapple),
    });
    await expect.poll(() => page.inputValue("#name")).toBe("pine apple");
    await submit(page).click();
    await page.locator("#status", { hasText: "step 1 of 20" }).waitFor(patience);
    await submit(page).click();
    await page.locator("#status", { hasText: "Stopped." }).waitFor(patience);
    await ready(page, "Make sprites");
    expect(await page.locator("#png").isVisible()).toBe(false);
    expect(complaints).toEqual([]);
    await page.context().close();
  });
});

async function drawRedDisc(page: Page): Promise<void> {
  await page.locator("#clear").click();
  await page.getByLabel("red").check();
  await page.locator("#brush").fill("48");
  const box = (await page.locator("#pad").boundingBox())!;
  const at = (turn: number) => [0.5 + 0.2 * Math.cos(turn), 0.5 + 0.2 * Math.sin(turn)] as const;
  await page.mouse.move(box.x + 0.7 * box.width, box.y + 0.5 * box.height);
  await page.mouse.down();
  for (let turn = 0; turn < 7; turn += 0.5) {
    const [x, y] = at(turn);
    await page.mouse.move(box.x + x * box.width, box.y + y * box.height);
  }
  await page.mouse.up();
}

/** The file behind a link of the page. */
async function linked(page: Page, selector: string): Promise<Buffer> {
  const bytes = await page.evaluate(async (selector) => {
    const { href } = document.querySelector(selector) as HTMLAnchorElement;
    return [...new Uint8Array(await (await fetch(href)).arrayBuffer())];
  }, selector);
  return Buffer.from(bytes);
}
