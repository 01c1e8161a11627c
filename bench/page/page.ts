// The lab in a browser: choose families, run them on this browser's GPU, see tables and plots, take the findings along.

import { requestGpu } from "../../src/gpu/gpu.ts";
import { readConfig } from "../../src/models/config.ts";
import { fetchModel } from "../../src/web/model.ts";
import config from "../../weights/emoji-64/config.json?raw";
import { type Family, families as portable } from "../lab/families.ts";
import { createLab, type Host } from "../lab/lab.ts";
import { type Machine, type Report, type Reports, slugOf } from "../lab/report.ts";
import { firstPicture, startupSection } from "../lab/startup.ts";
import { showFamilies, showReport } from "./views.ts";

const modelUrl = new URL("../../weights/emoji-64/", import.meta.url);

const families: Readonly<Record<string, Family>> = {
  ...portable,
  startup: {
    about:
      "from nothing to the first picture, in this page: the browser may still know the shaders of an earlier visit",
    async run() {
      const start = await firstPicture(openHost);
      start.host.gpu.dispose();
      return startupSection(
        [{ engine: "reimagen", starts: [start] }],
        "Once, in this page, on a device of its own; the browser's shader cache may be warm.",
      );
    },
  },
};

const element = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const form = element<HTMLFormElement>("form");
const button = form.querySelector("button")!;
const download = element<HTMLAnchorElement>("download");
const progress = element("progress");

const say = (line: string) => {
  progress.textContent = line;
};

async function openHost(): Promise<Host> {
  const gpu = await requestGpu();
  return { gpu, config: readConfig("config.json", config), model: await fetchModel(modelUrl), say };
}

function machineOf({ gpu }: Host): Machine {
  const { description, device, vendor, architecture } = gpu.info;
  // Browsers keep the rest to themselves.
  const adapter = description || device || `${vendor} ${architecture}`;
  return {
    adapter,
    slug: slugOf(`${adapter} browser`),
    drivers: [],
    processor: "an unknown processor",
    cores: navigator.hardwareConcurrency,
    versions: { browser: navigator.userAgent.replace(/^Mozilla\/5.0 /, "") },
    date: new Date().toISOString().slice(0, 16).replace("T", " "),
  };
}

async function run(host: Host): Promise<void> {
  const data = new FormData(form);
  const options = {
    filter: String(data.get("filter")),
    repeats: Number(data.get("repeats")),
    budget: Number(data.get("budget")),
    large: data.has("large"),
  };
  const lab = createLab(host, options);
  const findings = element("findings");
  findings.replaceChildren();
  const reports: Record<string, Report> = {};
  for (const family of data.getAll("family").map(String)) {
    say(`${family}…`);
    const { plots = [], ...section } = await families[family]!.run(lab);
    reports[family] = { family, machine: machineOf(host), ...section };
    findings.append(showReport(reports[family], plots));
    offer(reports);
  }
  say("done");
}

function offer(reports: Reports): void {
  if (!download.hidden) URL.revokeObjectURL(download.href);
  download.href = URL.createObjectURL(new Blob([JSON.stringify(reports, null, 1)], { type: "application/json" }));
  download.hidden = false;
}

try {
  const host = await openHost();
  element("machine").textContent = machineOf(host).adapter;
  element("families").append(...showFamilies(families, ["ceilings", "step", "generate"]));
  button.disabled = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    await run(host).catch((error: Error) => say(`stopped: ${error.message}`));
    button.disabled = false;
  });
} catch (error) {
  element("machine").textContent = (error as Error).message;
}
