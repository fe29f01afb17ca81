import { existsSync, realpathSync } from "node:fs";

/** `entry` as Node.js was told it, perhaps without its extension, is that file. */
export function sameFile(entry: string, file: string): boolean {
  return ["", ".js", ".ts", ".cjs", ".mjs"].some((suffix) => {
    const path = entry + suffix;
    return path === file || (existsSync(path) && realpathSync(path) === file);
  });
}
