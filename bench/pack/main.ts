// The throughput lab in a packed folder, on the system's GPU: started by run.sh.
import { runCommand } from "../command.ts";
import { startup } from "../startup.ts";
import { openPack, weightsPacked } from "./host.ts";

const starter = { engine: "reimagen", module: new URL("./startup.child.mjs", import.meta.url), argv: [] };
const drawing = (await weightsPacked()) ? ["generate", "startup"] : [];

await runCommand(
  {
    adapter: "gpu",
    usual: ["ceilings", "ops", "step", "scheduler", "tuning", "projection", "scaling", ...drawing],
    families: {
      startup: {
        about: "from nothing to the first picture, in fresh processes (needs packed weights)",
        run: (lab) => startup(lab, [starter]),
      },
    },
    openHost: (_, say) => openPack(say),
  },
  process.argv.slice(2),
);
