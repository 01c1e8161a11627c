// Headless Chromium with the peers' page, as Node drives it.
import { fileURLToPath } from "node:url";
import { chromium } from "playwright";
import { createServer } from "vite";
import { headlessBrowser } from "../../src/node/headless-browser.ts";
import type { BenchAdapter } from "../command.ts";
import type { BrowserRuns, PeersPage } from "./page/page.ts";
import type { Task } from "./tasks.ts";

/** The page, ready. */
export interface PeersBrowser {
  /** The adapter's name, as the browser tells it. */
  readonly adapter: string;
  compare(task: Task, repeats: number): Promise<BrowserRuns[]>;
  close(): Promise<void>;
}

/** Instead of SwiftShader, whatever Vulkan driver VK_DRIVER_FILES names. */
const systemDriver = [
  "--enable-features=Vulkan",
  "--use-vulkan=native",
  "--use-angle=vulkan",
  "--ignore-gpu-blocklist",
];

/** Serves and opens the page. Throws what it throws. */
export async function openPeersBrowser(adapter: BenchAdapter): Promise<PeersBrowser> {
  const config = fileURLToPath(new URL("../page/vite.config.ts", import.meta.url));
  const server = await createServer({ configFile: config, logLevel: "error", server: { port: 0, open: false } });
  await server.listen();
  const launch = await headlessBrowser();
  const args = launch.args.filter((arg) => !/swiftshader/.test(arg));
  const browser = await chromium.launch(
    adapter === "software" ? launch : { ...launch, args: [...args, ...systemDriver] },
  );
  const close = async () => {
    await browser.close();
    await server.close();
  };
  try {
    const page = await browser.newPage();
    const failed = new Promise<never>((_, reject) => page.on("pageerror", reject));
    await page.goto(`${server.resolvedUrls!.local[0]}bench/peers/page/index.html`);
    await Promise.race([failed, page.waitForFunction("'peers' in window", undefined, { timeout: 120_000 })]);
    failed.catch(() => undefined);
    const found = (await page.evaluate("window.peers.adapter")) as string;
    if (adapter === "gpu" && /swiftshader/i.test(found))
      throw new Error(`the browser does not take this Vulkan driver, but ${found}: nothing to compare`);
    return {
      adapter: found,
      compare: (task, repeats) =>
        page.evaluate(([task, repeats]) => (window as unknown as { peers: PeersPage }).peers.compare(task, repeats), [
          task,
          repeats,
        ] as const),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
