// Whole pages for tests: a static server over a built folder, and the npm browser with everything that a page complains about.
import { type Browser, chromium, type Page } from "playwright";
import { preview } from "vite";
import { headlessBrowser } from "../src/node/headless-browser.ts";

/** A folder behind a URL. */
export interface Site {
  /** Ends with a slash. */
  readonly url: string;
  close(): Promise<void>;
}

/** Serves a folder as any web server does. */
export async function serve(folder: string): Promise<Site> {
  const server = await preview({
    configFile: false,
    root: folder,
    appType: "mpa",
    logLevel: "error",
    build: { outDir: "." },
    preview: { port: 0, host: "127.0.0.1" },
  });
  return { url: server.resolvedUrls!.local[0]!, close: () => server.close() };
}

/** Starts the headless browser that comes from npm. */
export async function openBrowser(): Promise<Browser> {
  return chromium.launch(await headlessBrowser());
}

/** A page, and what it said that a page should not say: errors in the console, uncaught ones, WebGPU's uncaptured ones, failed requests. */
export interface OpenPage {
  readonly page: Page;
  readonly complaints: readonly string[];
}

/** Opens a page in a window of its own, 800 by 600 unless told, for somebody who does not want motion. */
export async function openPage(browser: Browser, url: string, { width = 800, height = 600 } = {}): Promise<OpenPage> {
  const context = await browser.newContext({ viewport: { width, height }, reducedMotion: "reduce" });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  page.on("response", (response) => {
    if (response.status() >= 400) complaints.push(`${response.status()} ${response.url()}`);
  });
  await page.addInitScript(reportGpuErrors);
  await page.goto(url);
  return { page, complaints };
}

function reportGpuErrors(): void {
  if (!("GPUAdapter" in globalThis)) return;
  const request = GPUAdapter.prototype.requestDevice;
  GPUAdapter.prototype.requestDevice = async function (descriptor) {
    const device = await request.call(this, descriptor);
    device.addEventListener("uncapturederror", ({ error }) => console.error(`WebGPU: ${error.message}`));
    return device;
  };
}
