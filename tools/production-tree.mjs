/**
 * Makes what an installation of Heddle consists of: `node tools/production-tree.mjs --out DIR`. DIR/node_modules gets the package `heddle`, built from
 * sources, and the packages from npm that it needs at run time, in the releases of package-lock.json: those that are installed here. Nothing is fetched.
 */
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";

const root = join(import.meta.dirname, "..");
const { values: options } = parseArgs({ options: { out: { type: "string" } } });
if (options.out === undefined) throw new Error("production-tree: --out DIR is missing");
const modules = join(resolve(options.out), "node_modules");

const built = mkdtempSync(join(tmpdir(), "heddle-build-"));
try {
  execFileSync(process.execPath, [join(root, "tools/build-sdk.mjs"), "--out", built], { stdio: "inherit" });
  mkdirSync(modules, { recursive: true });
  // Types and maps are for those who develop.
  cpSync(join(built, "package"), join(modules, "heddle"), {
    recursive: true,
    filter: (path) => !/\/types$|\.map$/.test(path),
  });
} finally {
  rmSync(built, { recursive: true, force: true });
}

const copied = new Set();
const { dependencies } = readManifest(join(modules, "heddle"));
for (const name of Object.keys(dependencies)) copy(placeOf(name, ...dependents(name)), false);
console.log(`production-tree: heddle and ${copied.size} packages from npm in ${options.out}`);

/** Copies a package of this checkout, and those that it depends on. One that need not be there may be missing: it is for another platform. */
function copy(place, isOptional) {
  if (place === undefined) {
    if (isOptional) return;
    throw new Error("production-tree: a package that is needed is not installed: run npm ci");
  }
  const path = pathInTree(place);
  if (copied.has(path)) return;
  copied.add(path);
  const manifest = readManifest(place);
  cpSync(place, join(modules, path), {
    recursive: true,
    filter: (file) => relative(place, file) !== "node_modules" && !/\.(map|d\.[cm]?ts)$/.test(file),
  });
  for (const name of Object.keys(manifest.dependencies ?? {})) copy(placeOf(name, place), false);
  for (const name of Object.keys(manifest.optionalDependencies ?? {})) copy(placeOf(name, place), true);
}

/** Below node_modules, where those who need it find it: what was inside another package stays inside. */
function pathInTree(place) {
  return relative(root, place).replace(/^.*?node_modules\//, "");
}

/** Where Node finds a package that something at one of `from` imports. */
function placeOf(name, ...from) {
  for (const start of [...from, root]) {
    for (let at = start; ; at = dirname(at)) {
      const place = join(at, "node_modules", name);
      if (existsSync(join(place, "package.json"))) return place;
      if (at === root || dirname(at) === at) break;
    }
  }
  return undefined;
}

/** The packages of this checkout that declare it, by their folders: they may have a release of their own. */
function dependents(name) {
  const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
  return Object.entries(lock.packages)
    .filter(([folder, { dependencies: declared }]) => /^(apps|libs)\//.test(folder) && declared?.[name] !== undefined)
    .map(([folder]) => join(root, folder));
}

function readManifest(directory) {
  return JSON.parse(readFileSync(join(directory, "package.json"), "utf8"));
}
