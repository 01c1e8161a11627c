// The throughput lab in this repository: npm run bench -- [family ...] [options]; `--help` lists both.
import { fileURLToPath } from "node:url";
import { runCommand } from "./command.ts";
import { openHost } from "./host.ts";
import { peerStarters, peers } from "./peers/family.ts";
import { real } from "./real.ts";
import { soak } from "./soak.ts";
import { startup } from "./startup.ts";

const ours = (adapter: string) => ({
  engine: "reimagen",
  module: new URL("./startup.child.ts", import.meta.url),
  argv: [adapter],
});

await runCommand(
  {
    adapter: "software",
    usual: ["ceilings", "ops", "step", "scheduler", "tuning", "projection", "generate", "scaling", "startup"],
    families: {
      startup: {
        about:
          "from nothing to the first picture, in fresh processes, beside a peer's first step where it is installed",
        run: async (lab) => startup(lab, [ours(lab.adapter), ...(await peerStarters(lab.adapter))]),
      },
      peers: { about: "the step and its heavy ops beside other engines (npm run bench:peers brings them)", run: peers },
      real: {
        about: "one step of public U-Nets at full size, with random weights; minutes on a software adapter",
        run: real,
      },
      soak: { about: "memory over 200 generations on one engine", run: soak },
    },
    openHost,
    results: fileURLToPath(new URL("./results", import.meta.url)),
  },
  process.argv.slice(2),
);
