// Installs and reads the art packages, which live beside this file and not among the project's own.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const folder = import.meta.dirname;

/** Installs what `package-lock.json` names, exactly; throws what npm says where that fails. */
export function installPackages(): void {
  execFileSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: folder, stdio: "inherit" });
}

/** The path of a file or a folder of an installed package. */
export function packagePath(path: string): string {
  return join(folder, "node_modules", path);
}

/** A JSON file of an installed package. */
export function readPackage<T>(path: string): T {
  return JSON.parse(readFileSync(packagePath(path), "utf8")) as T;
}
