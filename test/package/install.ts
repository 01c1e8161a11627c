// The package as a stranger gets it: packed by npm, and installed from the tarball into an empty app.
import { execFile } from "node:child_process";
import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);

/** The repository. */
export const root = fileURLToPath(new URL("../../", import.meta.url));

/** An app that depends on the package alone. */
export interface InstalledApp {
  readonly folder: string;
  /** Paths in the tarball. */
  readonly packed: readonly string[];
}

/** Builds, packs and installs. The app's folder is the caller's to remove. */
export async function installApp(): Promise<InstalledApp> {
  const folder = await mkdtemp(join(tmpdir(), "reimagen-app-"));
  await run("npm", ["run", "build"], { cwd: root });
  const { stdout } = await run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder], {
    cwd: root,
  });
  const [{ filename, files }] = Object.values(JSON.parse(stdout)) as [{ filename: string; files: { path: string }[] }];
  const app = {
    name: "app",
    version: "1.0.0",
    private: true,
    type: "module",
    dependencies: { reimagen: `file:${filename}` },
  };
  await writeFile(join(folder, "package.json"), JSON.stringify(app));
  await writeFile(join(folder, "package-lock.json"), JSON.stringify(await lockfile(app, filename)));
  await run("npm", ["ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund"], { cwd: folder });
  return { folder, packed: files.map(({ path }) => path) };
}

// With the versions that our own lockfile pins, npm needs no registry where it installed them before.
async function lockfile(app: { dependencies: object }, filename: string): Promise<object> {
  const { packages } = JSON.parse(await readFile(join(root, "package-lock.json"), "utf8"));
  const { version, dependencies, bin, engines } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
  const needed = Object.entries(packages as Record<string, { dev?: boolean }>).filter(
    ([path, { dev }]) => path && !dev,
  );
  return {
    ...app,
    lockfileVersion: 3,
    packages: {
      "": app,
      "node_modules/reimagen": { version, resolved: `file:${filename}`, dependencies, bin, engines },
      ...Object.fromEntries(needed),
    },
  };
}
