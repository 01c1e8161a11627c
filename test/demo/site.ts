// The built demo on a plain static server, and a browser to visit it with.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type Browser, chromium, type Page } from "playwright";
import { decodePng } from "../../src/io/png.ts";
import { headlessBrowser } from "../../src/node/headless-browser.ts";

/** A site that lies in a folder of a server, as on a project's page. */
export interface Site {
  readonly url: string;
  /** What was asked for since `forgetRequests`, as "GET weights/emoji-64/config.json". */
  readonly requests: readonly string[];
  forgetRequests(): void;
  /** The server answers no more. */
  goDown(): void;
  close(): Promise<void>;
}

const types: Readonly<Record<string, string>> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".webp": "image/webp",
};

const repository = fileURLToPath(new URL("../..", import.meta.url));

/** Builds the demo as `npm run build:demo` does, and serves it. */
export async function openSite(): Promise<Site> {
  const folder = await mkdtemp(join(tmpdir(), "reimagen-demo-"));
  // In a process of its own: the test runner's environment would make it another build.
  const { NODE_ENV: _, ...env } = process.env;
  await promisify(execFile)("npm", ["run", "build:demo", "--", "--outDir", folder], { cwd: repository, env });
  let requests: string[] = [];
  const server = createServer(async ({ url = "/", method }, response) => {
    const path = decodeURIComponent(new URL(url, "http://localhost").pathname).replace(/^\/demo\//, "");
    requests.push(`${method} ${path}`);
    const file = path === "" || path.endsWith("/") ? `${path}index.html` : path;
    const bytes = file.includes("..") ? undefined : await readFile(join(folder, file)).catch(() => undefined);
    if (!bytes) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, {
      "Content-Type": types[extname(file)] ?? "application/octet-stream",
      "Content-Length": bytes.length,
      ETag: `"${createHash("sha1").update(bytes).digest("hex")}"`,
    });
    response.end(method === "HEAD" ? undefined : bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, "localhost", resolve));
  const goDown = () => {
    server.close();
    server.closeAllConnections();
  };
  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}/demo/`,
    get requests() {
      return requests;
    },
    forgetRequests() {
      requests = [];
    },
    goDown,
    async close() {
      goDown();
      await rm(folder, { recursive: true });
    },
  };
}

/** The browser of the tests, without WebGPU. */
export async function openBrowserWithoutWebGpu(): Promise<Browser> {
  const { args, ...launch } = await headlessBrowser();
  const others = args.filter((flag) => !/webgpu/.test(flag));
  return chromium.launch({ ...launch, args: [...others, "--disable-features=WebGPUService"] });
}

/** What the page tells tests with `?debug`. */
export interface PageState {
  readonly step: number;
  readonly activity: string;
  readonly drawn?: { readonly picture: { readonly pixels: number[] } };
  readonly notice?: { readonly words: string };
  readonly found: readonly { readonly entity: string; readonly id: number }[];
  readonly kept: number;
}

/** The page's state, without pixels. */
export async function stateOf(page: Page): Promise<PageState> {
  return page.evaluate("(({ drawn, opening, ...state }) => state)(reimagen.state())");
}

/** Waits until something holds of `state`, an expression. */
export async function until(page: Page, expression: string): Promise<void> {
  await page.waitForFunction(`window.reimagen && ((state) => ${expression})(reimagen.state())`, null, {
    timeout: 120_000,
  });
}

/** The finished picture, and what its canvas shows. */
export async function pictureOf(page: Page): Promise<{ result: number[]; canvas: number[] }> {
  await until(page, "state.drawn");
  return page.evaluate(`{
    const { pixels, width, height } = reimagen.state().drawn.picture;
    ({ result: [...pixels], canvas: (${readCanvas})("picture", width, height) });
  }`);
}

/** Pixels of a canvas by its id. */
export async function canvasOf(page: Page, id: string): Promise<number[]> {
  return page.evaluate(`(${readCanvas})("${id}")`);
}

// In the page: a canvas whose control a worker has can still be drawn on another.
const readCanvas = `(id, width, height) => {
  const source = document.getElementById(id);
  const canvas = new OffscreenCanvas(width ?? source.width, height ?? source.height);
  const context = canvas.getContext("2d");
  context.drawImage(source, 0, 0);
  return [...context.getImageData(0, 0, canvas.width, canvas.height).data];
}`;

/** What a canvas of square pictures looks like on the screen, read from the middle of each of its `side` x `side` pixels. */
export async function seen(page: Page, id: string, side: number): Promise<number[]> {
  const { picture } = decodePng(id, await page.locator(`#${id}`).screenshot());
  const cell = picture.width / side;
  return Array.from({ length: side * side }, (_, i) => {
    const [x, y] = [(i % side) + 0.5, Math.floor(i / side) + 0.5].map((at) => Math.floor(at * cell)) as [
      number,
      number,
    ];
    return [...picture.pixels.subarray((y * picture.width + x) * 4, (y * picture.width + x + 1) * 4)];
  }).flat();
}
