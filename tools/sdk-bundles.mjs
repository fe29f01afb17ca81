/** The bundles of the published package: what Node runs of it. */
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { npmPackagesOf, sdkEntries } from "./sdk-package.ts";

/** Packages from npm whose code goes into the bundles: a dozen small files that every worker would have to find and read. */
const inlined = ["@bufbuild/protobuf"];

/**
 * Writes a bundle of every entry to `out`. Says which files there are, which specifiers they import from outside, and what the authors
 * of inlined code want to be said. Throws on any warning, too.
 */
export async function bundleSdk(root, workspaces, out) {
  const { worker, ...others } = sdkEntries;
  const options = {
    absWorkingDir: root,
    outdir: out,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node24",
    conditions: ["@heddle/source"],
    external: npmPackagesOf(workspaces).filter((name) => !inlined.includes(name)),
    metafile: true,
    logLevel: "warning",
  };
  // the esbuild that heddle itself depends on
  const { build } = createRequire(join(root, "libs/adapters/ship/package.json"))("esbuild");
  const results = await Promise.all([
    build({ ...options, entryPoints: others, splitting: true, sourcemap: true }),
    // In one small file and without a map, which Node would read at once: workers start a quarter faster.
    build({ ...options, entryPoints: { worker }, minifySyntax: true }),
  ]);
  if (results.some(({ warnings }) => warnings.length > 0)) throw new Error("esbuild warns of the above");
  const outputs = results.flatMap(({ metafile }) => Object.entries(metafile.outputs));
  const files = outputs.map(([file]) => relative(out, join(root, file)));
  for (const file of files.filter((name) => name.endsWith(".js"))) checkPlaces(out, file);
  return {
    files,
    imports: outputs.flatMap(([, { imports }]) => imports.filter(({ external }) => external).map(({ path }) => path)),
    notices: notices(root, new Set(outputs.flatMap(([, { inputs }]) => Object.keys(inputs)))),
  };
}

/** Throws where a bundle counts on a place that it had as a source: a file beside it, or being the program that Node was told to run. */
function checkPlaces(out, file) {
  const text = readFileSync(join(out, file), "utf8");
  for (const [, path] of text.matchAll(/new URL\(\s*"(\.[^"]+)",\s*import\.meta\.url/g)) {
    if (!existsSync(join(out, dirname(file), path))) throw new Error(`${file} looks for ${path}, which is not built`);
  }
  if (text.includes("import.meta.main") && !Object.hasOwn(sdkEntries, file.replace(/\.js$/, ""))) {
    throw new Error(`${file} is shared by entries, so import.meta.main in it never holds`);
  }
}

/** The comments at the head of every source that came from npm: each once, under the names of the files that have it. */
function notices(root, inputs) {
  const files = new Map();
  for (const input of [...inputs].sort()) {
    const path = input.split("node_modules/")[1];
    if (path === undefined) continue;
    if (!inlined.some((name) => path.startsWith(`${name}/`))) throw new Error(`no package.json declares ${path}`);
    const [comment] = /^(\/\/.*\n)*/.exec(readFileSync(join(root, input), "utf8"));
    const text = comment.replaceAll(/^\/\/ ?/gm, "");
    files.set(text, [...(files.get(text) ?? []), path]);
  }
  return [...files].map(([text, paths]) => `${paths.join("\n")}\n\n${text}`).join("\n\n");
}
