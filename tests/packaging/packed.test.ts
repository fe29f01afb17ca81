import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { dirname, join, posix } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { PackedHeddle } from "./packed-heddle.ts";

let heddle: PackedHeddle;
beforeAll(async () => {
  heddle = await PackedHeddle.install();
}, 60_000);
afterAll(() => heddle?.[Symbol.asyncDispose]());

test("a plain JavaScript project maps an exported function", async () => {
  expect(JSON.parse(await heddle.run("plain.mjs"))).toEqual([0, 1, 8, 27, 64]);
});

test("a TypeScript project maps an exported function", async () => {
  expect(JSON.parse(await heddle.run("main.ts"))).toEqual({ count: 1_000, last: 999 ** 3 });
});

test("an inline function that makes pools and fabrics of its own runs, sees errors of the package as its own, and fails in its own lines", async () => {
  const row = { refused: true, closed: true, early: true };
  const { results, frames } = JSON.parse(await heddle.run("closures.ts")) as { results: unknown; frames: string[] };
  expect(results).toEqual([
    { ...row, index: 0, cubed: 2 },
    { ...row, index: 1, cubed: 16 },
    { ...row, index: 2, cubed: 54 },
  ]);
  expect(frames).toEqual([expect.stringMatching(/^closures\.ts:\d+:\d+\)?$/)]);
});

test("a TypeScript project starts processes, one of which starts another", async () => {
  expect(JSON.parse(await heddle.run("processes.ts"))).toEqual({
    parent: null,
    own: ["MainProcess", true],
    live: ["starter", "Process-2"],
    first: "starter",
    codes: [3, -15],
    again: "state",
  });
});

test("a strict TypeScript project type-checks, the declarations of the package included", async () => {
  const tsc = join(import.meta.dirname, "../../node_modules/typescript/bin/tsc");
  expect(await heddle.run(tsc, ["-p", "."])).toBe("");
});

test("the command says its version", async () => {
  expect(await heddle.run("node_modules/.bin/heddle", ["version"])).toContain(heddle.manifest.version);
});

test("the command is the installed one, even where the project has files of the same names as ours", async () => {
  const namesake = join(heddle.project, "apps/cli/src/main.ts");
  mkdirSync(dirname(namesake), { recursive: true });
  writeFileSync(namesake, 'throw new Error("this is the project\'s own command");');
  expect(await heddle.run("node_modules/.bin/heddle", ["--version"])).toBe(`${heddle.manifest.version}\n`);
});

test("a fabric of servers runs what a script maps, and ends when it is told to", async () => {
  await using fabric = await heddle.up();
  expect(JSON.parse(await heddle.run("plain.mjs", [], { HEDDLE_ADDRESS: fabric.address }))).toEqual([0, 1, 8, 27, 64]);
  expect(await fabric.stop()).toBe(0);
});

test("a CommonJS project can require it", async () => {
  expect(await heddle.run("require.cjs")).toBe("function\n");
});

test("the tarball has the command, bundles, declarations, licences and a readme, and nothing else", () => {
  const others = heddle.files
    .map(({ path }) => path)
    .filter((path) => !/^dist\/[\w-]+\.js(\.map)?$|^types\/[\w/-]+\.d\.ts$/.test(path));
  expect(others.sort()).toEqual([
    "LICENSE",
    "README.md",
    "THIRD_PARTY_LICENSES.txt",
    "bin/heddle.mjs",
    "dist/gen/heddle.binpb",
    "package.json",
  ]);
});

test("it depends on what its bundles import from npm, and on no package of the workspace", () => {
  expect(Object.keys(heddle.manifest.dependencies)).toEqual([
    "@bufbuild/protobuf",
    "@grpc/grpc-js",
    "@grpc/proto-loader",
    "@grpc/reflection",
    "@jridgewell/remapping",
    "@peculiar/x509",
    "acorn",
    "commander",
    "esbuild",
    "eslint-scope",
    "grpc-health-check",
    "magic-string",
    "prom-client",
    "reflect-metadata",
    "yaml",
  ]);
});

test("its exports work without the condition that means the sources", () => {
  expect(JSON.stringify(heddle.manifest)).not.toContain("@heddle");
});

test("a worker starts from one small file that needs nothing but Node", () => {
  const loaded = loadedAtStart("worker.js");
  expect(loaded.files).toEqual(["worker.js"]);
  expect(loaded.packages).toEqual([]);
  expect(loaded.bytes).toBeLessThan(420 * 1024); // a half of it is what the wire can say
});

test("the command loads what makes certificates only when it is asked for them, and makes them", async () => {
  for (const entry of ["cli.js", "coordinator.js", "manager.js", "agent.js"])
    expect([entry, loadedAtStart(entry).packages]).toEqual([entry, expect.not.arrayContaining(["@peculiar/x509"])]);
  await heddle.run("node_modules/.bin/heddle", ["certs", "init"]);
  const shown = await heddle.run("node_modules/.bin/heddle", ["certs", "show", "--no-headers"]);
  expect(shown.match(/ ok$/gm)).toHaveLength(6);
});

test("servers load what tells their metrics only where they are asked to, and tell them", async () => {
  for (const entry of ["cli.js", "coordinator.js", "manager.js", "agent.js"])
    expect([entry, loadedAtStart(entry).packages]).toEqual([entry, expect.not.arrayContaining(["prom-client"])]);
  const file = join(heddle.project, "up.json");
  await using _fabric = await heddle.up("--http", "127.0.0.1:0", "--address-file", file);
  const { http }: { readonly http: string } = JSON.parse(readFileSync(file, "utf8"));
  const page = await (await fetch(`http://${http}/metrics`)).text();
  expect(page).toContain(`heddle_build_info{server="coordinator",version="${heddle.manifest.version}"} 1\n`);
  expect(page).toContain('\nheddle_coordinator_slots{state="ready"} 2\n');
});

test.for(["index.js", "inside.js"])(
  "an import of %s loads what reads functions, and neither gRPC nor the bundler",
  (entry) => {
    const packages = ["@jridgewell/remapping", "acorn", "eslint-scope", "magic-string"];
    expect(loadedAtStart(entry).packages.toSorted()).toEqual(packages);
  },
);

/** What Node reads before the first line of a bundle runs: files of dist/, their size in all, other packages by specifier. */
function loadedAtStart(entry: string) {
  const directory = join(heddle.installed, "dist");
  const files = new Set([entry]);
  const packages = new Set<string>();
  let bytes = 0;
  for (const file of files) {
    const text = readFileSync(join(directory, file), "utf8");
    bytes += text.length;
    for (const specifier of importsIn(text)) {
      if (specifier.startsWith(".")) files.add(posix.join(posix.dirname(file), specifier));
      else if (!isBuiltin(specifier)) packages.add(specifier);
    }
  }
  return { files: [...files].sort(), bytes, packages: [...packages].sort() };
}

/** Specifiers of static imports, as esbuild writes them. */
function importsIn(text: string): string[] {
  return [...text.matchAll(/^(?:import|export|\}) ?(?:[^"';]* from )?"([^"]+)";$/gm)].map(([, name = ""]) => name);
}
