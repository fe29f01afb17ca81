import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { ARTIFACT_BYTES_MAX, LimitError } from "@heddle/kernel";
import type { Artifact } from "@heddle/port-shipper";
import type { BuildOptions, BuildResult, OutputFile, Plugin } from "esbuild";
import { type BundleInputs, inputsOf, largestInputs, NO_INPUTS } from "./bundle-inputs.ts";
import { type Emitted, type ModuleRequest, REQUEST_PREFIX } from "./emit.ts";
import { externalsRemark, packageOf } from "./externals.ts";
import type { FoundExport } from "./find-export.ts";
import { packageRoot, restoredUrl, type Sources } from "./sources.ts";

/** A module and all that it imports, in one file. */
export interface Bundle {
  readonly artifact: Artifact;
  /** Undefined for code that was shipped before: it is what runs here, and so exports what was found in it. */
  readonly exportNames: ReadonlySet<string> | undefined;
  readonly inputs: BundleInputs;
}

/** What all bundles of a shipper have in common. */
export interface BundleSettings {
  readonly sources: Sources;
  /** Packages that are not put in. */
  readonly external?: readonly string[];
  /** Default: ARTIFACT_BYTES_MAX. */
  readonly bytesMax?: number;
}

type Module = Pick<FoundExport, "file" | "exportName" | "hasDefault" | "commonJsNames">;
type Options = BuildOptions & { write: false; metafile: true; absWorkingDir: string };
type Built = BuildResult<{ write: false; metafile: true }>;

/** The line that esbuild puts first; what really goes there is known only after it ran. Never more than one line: the map counts on it. */
const FIRST_LINE = "/* heddle artifact */";
const NAMES = "var __heddle_filename = import.meta.filename, __heddle_dirname = import.meta.dirname;";
/** No import and no const: an artifact may be part of another one, and have this line, too. */
const REQUIRE = 'var require = process.getBuiltinModule("node:module").createRequire(import.meta.url);';

/**
 * Bundles a module. The same sources give the same bytes, wherever the checkout is. Rejects with esbuild's own error when something
 * cannot be resolved or parsed, and with LimitError for a bundle that is too large.
 */
export async function bundleModule(module: Module, settings: BundleSettings): Promise<Bundle> {
  const shipped = shippedBefore(module);
  if (shipped !== undefined) return shipped;
  const stdin = {
    contents: entryText(module),
    resolveDir: dirname(module.file),
    sourcefile: "heddle-entry.mjs", // .mjs: `import x from` a CommonJS module is all of its module.exports, as in Node
  };
  return await bundle(stdin, [], settings);
}

/** Shipped code that ships functions of its own: an artifact is whole, and known everywhere by its name. */
function shippedBefore({ file }: Module): Bundle | undefined {
  const hash = basename(file, ".mjs");
  if (!/^[0-9a-f]{64}$/.test(hash)) return undefined;
  const bytes = readFileSync(file);
  if (createHash("sha256").update(bytes).digest("hex") !== hash) return undefined;
  return { artifact: { hash, bytes }, exportNames: undefined, inputs: NO_INPUTS };
}

/** Puts what a closure imports into its module. Rejects as `bundleModule`. */
export async function bundleClosure({ text, map, requests }: Emitted, settings: BundleSettings): Promise<Bundle> {
  const [first] = requests;
  const resolveDir = first?.importer === undefined ? process.cwd() : dirname(first.importer);
  return await bundle({ contents: withMap(text, map), resolveDir, sourcefile: CLOSURE_FILE }, requests, settings);
}

/** A closure's module that needs nothing put in. Throws LimitError as `bundleModule`. */
export function completeClosure({ text, map }: Emitted, { bytesMax }: BundleSettings): Bundle {
  const artifact = artifactOf(withMap(text, map), bytesMax, () => "its own text");
  return { artifact, exportNames: new Set(["default"]), inputs: NO_INPUTS };
}

const CLOSURE_FILE = "heddle-closure.mjs";

type Entry = NonNullable<BuildOptions["stdin"]> & { readonly resolveDir: string };

async function bundle(stdin: Entry, requests: readonly ModuleRequest[], settings: BundleSettings): Promise<Bundle> {
  const { external = [], bytesMax } = settings;
  const root = packageRoot(stdin.resolveDir) ?? stdin.resolveDir;
  const result = await built(optionsFor(stdin, root, { requests, external }));
  const { metafile } = result;
  const [output] = Object.values(metafile.outputs).filter(({ entryPoint }) => entryPoint !== undefined);
  const inputs = inputsOf(metafile, root, (specifier) => requestOf(specifier, requests)?.importer);
  const outside = new Set(inputs.outside.map(({ specifier }) => packageOf(specifier)));
  const remark = externalsRemark(external.filter((name) => outside.has(name)));
  const text = finished(result, { remark, nameOf: (source) => settings.sources.urlOf(resolve(root, source)) });
  return {
    artifact: artifactOf(text, bytesMax, () => `most of it ${largestInputs(metafile)}`),
    exportNames: new Set(output?.exports),
    inputs,
  };
}

function artifactOf(text: string, bytesMax = ARTIFACT_BYTES_MAX, whatIsLarge: () => string): Artifact {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length > bytesMax) {
    const words = `its code has ${bytes.length} bytes with all that it imports, ARTIFACT_BYTES_MAX is ${bytesMax}`;
    throw new LimitError("ARTIFACT_BYTES_MAX", bytesMax, bytes.length, `${words}: ${whatIsLarge()}`);
  }
  return { hash: createHash("sha256").update(bytes).digest("hex"), bytes };
}

/** Code as it is before `withMap`, which is where it says where it was written. */
export function withoutMap(bytes: Uint8Array): Uint8Array {
  const at = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).lastIndexOf(MAP_COMMENT);
  return at === -1 ? bytes : bytes.subarray(0, at);
}

const MAP_COMMENT = "//# sourceMappingURL=data:application/json;base64,";

function withMap(text: string, map: string): string {
  const inline = Buffer.from(map).toString("base64");
  return `${text}${MAP_COMMENT}${inline}\n`;
}

/** Resolves what a closure names from where the user wrote it. */
function requestResolver(requests: readonly ModuleRequest[]): Plugin {
  const kinds = { import: "import-statement", "dynamic-import": "dynamic-import", require: "require-call" } as const;
  return {
    name: "heddle-requests",
    setup: (build) => {
      build.onResolve({ filter: new RegExp(`^${REQUEST_PREFIX}`) }, ({ path }) => {
        const request = requestOf(path, requests);
        if (request === undefined) return undefined;
        const { specifier, importer, how } = request;
        const from =
          importer === undefined ? { resolveDir: process.cwd() } : { importer, resolveDir: dirname(importer) };
        return build.resolve(specifier, { ...from, kind: kinds[how] });
      });
    },
  };
}

function requestOf(specifier: string, requests: readonly ModuleRequest[]): ModuleRequest | undefined {
  return specifier.startsWith(REQUEST_PREFIX) ? requests[Number(specifier.slice(REQUEST_PREFIX.length))] : undefined;
}

/** esbuild is a process of its own, which would idle until this one ends. A build that is cut off by it starts again. */
export async function stopBundler(): Promise<void> {
  const { stop } = await import("esbuild");
  await stop();
}

async function built(options: Options): Promise<Built> {
  const { build } = await import("esbuild"); // half of the start-up time of those who never ship
  try {
    return await build(options);
  } catch (error) {
    const wasStopped = error instanceof Error && /service (was stopped|is no longer running)/.test(error.message);
    if (!wasStopped) throw error;
    return await build(options);
  }
}

function optionsFor(
  stdin: Entry,
  root: string,
  { requests, external }: { readonly requests: readonly ModuleRequest[]; readonly external: readonly string[] },
): Options {
  return {
    stdin,
    plugins: requests.length === 0 ? [] : [requestResolver(requests)],
    absWorkingDir: root, // paths in comments and in the map are relative to it
    outfile: join(root, "heddle-artifact.mjs"),
    write: false,
    metafile: true,
    bundle: true,
    platform: "node",
    target: "node24",
    format: "esm",
    sourcemap: "external",
    sourcesContent: false,
    packages: "bundle",
    external: ["*.node", ...["heddle", ...external].flatMap((name) => [name, `${name}/*`])],
    legalComments: "none",
    logLevel: "silent",
    // Only free names are replaced: a module that declares its own __dirname keeps it.
    define: { __dirname: "__heddle_dirname", __filename: "__heddle_filename" },
    banner: { js: FIRST_LINE },
  };
}

function entryText({ file, hasDefault, commonJsNames }: Module): string {
  const from = JSON.stringify(`./${basename(file)}`);
  if (commonJsNames === undefined) {
    return `export * from ${from};\n${hasDefault ? `export { default } from ${from};\n` : ""}`;
  }
  const names = commonJsNames.map(
    (name, index) =>
      `const export${index} = all[${JSON.stringify(name)}];\nexport { export${index} as ${JSON.stringify(name)} };\n`,
  );
  return `import all from ${from};\nexport default all;\n${names.join("")}`;
}

/** The bundle with its first line and its map. */
function finished(result: Built, { remark, nameOf }: { remark: string; nameOf: (source: string) => string }): string {
  const code = fileNamed(result.outputFiles, ".mjs");
  const map = JSON.parse(fileNamed(result.outputFiles, ".map")) as { sources: string[] };
  map.sources = map.sources.map((source) => restoredUrl(source) ?? nameOf(source));
  // Where esbuild's own helper asks for `require`, no module can have declared that name: it was renamed. Elsewhere it might.
  const needsRequire = code.includes('typeof require !== "undefined"');
  const firstLine = remark + (needsRequire ? `${REQUIRE} ${NAMES}` : NAMES);
  return withMap(`${code.replace(FIRST_LINE, () => firstLine)}\n`, JSON.stringify(map));
}

function fileNamed(files: readonly OutputFile[], suffix: string): string {
  return files.find(({ path }) => path.endsWith(suffix))?.text ?? "";
}
