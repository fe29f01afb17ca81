import { existsSync, realpathSync } from "node:fs";

/** Tells of files, without symbolic links, whether they are one of these, named as Node.js was told them: perhaps without extension. */
export function entryTest(entries: readonly string[]): (file: string) => boolean {
  let files: ReadonlySet<string> | undefined;
  return (file) => {
    files ??= new Set(entries.flatMap(spellings));
    return files.has(file);
  };
}

function spellings(entry: string): string[] {
  const paths = ["", ".js", ".ts", ".cjs", ".mjs"].map((suffix) => entry + suffix);
  return paths.flatMap((path) => (existsSync(path) ? [path, realpathSync(path)] : [path]));
}
