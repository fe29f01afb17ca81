import { statSync } from "node:fs";
import { resolve } from "node:path";
import type { Metafile } from "esbuild";

/** What went into a bundle, and what stayed out of it. */
export interface BundleInputs {
  /** The bundle is what it would be now as long as none of these changed. */
  readonly files: readonly InputFile[];
  /** Modules that stay outside, with a file that names each. Node's own are not among them. */
  readonly outside: readonly OutsideModule[];
  /** For each file the one that was first to import it; none for those that the function itself names. */
  readonly importers: ReadonlyMap<string, string>;
}

/** A file as it was when it was read. */
interface InputFile {
  readonly path: string;
  readonly mtimeMs: number;
  readonly size: number;
}

/** A module that a bundle leaves to Node.js where it runs. */
export interface OutsideModule {
  readonly specifier: string;
  readonly importer: string;
}

/** Of a bundle that everything is in. */
export const NO_INPUTS: BundleInputs = { files: [], outside: [], importers: new Map() };

/** None of the files changed since. */
export function areFresh({ files }: BundleInputs): boolean {
  return files.every(({ path, mtimeMs, size }) => {
    const now = statSync(path, { throwIfNoEntry: false });
    return now?.mtimeMs === mtimeMs && now.size === size;
  });
}

/** Reads what esbuild says of a bundle. `importerOf` tells which file a specifier of esbuild's entry stands for, if any. */
export function inputsOf(
  metafile: Metafile,
  root: string,
  importerOf: (specifier: string) => string | undefined,
): BundleInputs {
  return {
    files: filesOf(metafile, root),
    outside: outsideOf(metafile, root),
    importers: importersOf(metafile, root, importerOf),
  };
}

/** By the shortest way from the entry, which is what people look for. */
function importersOf(
  { inputs, outputs }: Metafile,
  root: string,
  importerOf: (specifier: string) => string | undefined,
): Map<string, string> {
  const importers = new Map<string, string>();
  const reached = Object.values(outputs).flatMap(({ entryPoint = [] }) => entryPoint);
  const seen = new Set(reached);
  for (const file of reached) {
    for (const { path, original = "", external } of inputs[file]?.imports ?? []) {
      if (external === true || seen.has(path)) continue;
      seen.add(path);
      reached.push(path);
      importers.set(resolve(root, path), importerOf(original) ?? resolve(root, file));
    }
  }
  return importers;
}

function filesOf(metafile: Metafile, root: string): InputFile[] {
  const files: InputFile[] = [];
  for (const input of Object.keys(metafile.inputs)) {
    const path = resolve(root, input);
    const found = statSync(path, { throwIfNoEntry: false });
    if (found !== undefined) files.push({ path, mtimeMs: found.mtimeMs, size: found.size });
  }
  return files;
}

function outsideOf(metafile: Metafile, root: string): OutsideModule[] {
  const outputs = Object.values(metafile.outputs);
  const wanted = new Set(outputs.flatMap(({ imports }) => imports.map(({ path }) => path)));
  const used = new Set(outputs.flatMap(({ inputs }) => Object.keys(inputs)));
  const outside = [];
  for (const [file, { imports }] of Object.entries(metafile.inputs)) {
    for (const { path, external } of imports) {
      if (external === true && wanted.has(path) && used.has(file) && !path.startsWith("node:")) {
        outside.push({ specifier: path, importer: resolve(root, file) });
      }
    }
  }
  return outside;
}

/** The files that make most of a bundle, largest first, in words. */
export function largestInputs(metafile: Metafile): string {
  const sizes = Object.values(metafile.outputs).flatMap(({ inputs }) => Object.entries(inputs));
  const largest = sizes.sort(([, one], [, other]) => other.bytesInOutput - one.bytesInOutput).slice(0, LARGEST_NAMED);
  return largest.map(([file, { bytesInOutput }]) => `${file} (${bytesInOutput} bytes)`).join(", ");
}

const LARGEST_NAMED = 3;
