import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";

const page = readFileSync(join(import.meta.dirname, "../../docs/shared-state.md"), "utf8");
/** Blocks that import what they use and say what they print; others are pieces. */
const scripts = [...page.matchAll(/^```ts\n(import [\s\S]*?)^```$/gm)]
  .map(([, source = ""]) => ({
    source,
    prints: [...source.matchAll(/console\.log\(.*; \/\/ (.*)$/gm)].map(([, text]) => text),
  }))
  .filter(({ prints }) => prints.length > 0);
/** Inside of this folder, so that scripts find the package. */
const folder = mkdtempSync(join(import.meta.dirname, "page-"));
afterAll(() => rmSync(folder, { recursive: true }));

async function run(
  file: string,
): Promise<{ readonly code: number | null; readonly lines: string[]; readonly errors: string }> {
  const child = spawn(process.execPath, ["--conditions=@heddle/source", file], { stdio: ["ignore", "pipe", "pipe"] });
  let [out, errors] = ["", ""];
  child.stdout.on("data", (chunk) => {
    out += chunk;
  });
  child.stderr.on("data", (chunk) => {
    errors += chunk;
  });
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  return { code, lines: out.trim() === "" ? [] : out.trim().split("\n"), errors };
}

test.each(scripts.map((script, at) => [at + 1, script] as const))(
  "script %i of the page on shared state prints what it says",
  async (number, { source, prints }) => {
    const file = join(folder, `script-${number}.ts`);
    writeFileSync(file, source);
    expect(await run(file)).toEqual({ code: 0, lines: prints, errors: "" });
  },
);

test("the page on shared state has scripts", () => {
  expect(scripts.length).toBeGreaterThan(6);
});
