import { readFileSync } from "node:fs";

/** The release of the package that a module belongs to, given the module's URL; modules are one folder below it, as source and as built. */
export function packageVersion(moduleUrl: string): string {
  const { version } = JSON.parse(readFileSync(new URL("../package.json", moduleUrl), "utf8")) as { version: string };
  return version;
}
