import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { ARTIFACT_BYTES_MAX, LimitError } from "@heddle/kernel";
import type { Artifact } from "@heddle/port-shipper";
import type { BuildOptions, BuildResult, Metafile, OutputFile, Plugin } from "esbuild";
import { type Emitted, type ModuleRequest, REQUEST_PREFIX } from "./emit.ts";
import type { FoundExport } from "./find-export.ts";
import { packageRoot, restoredUrl, sourceUrl } from "./sources.ts";

/** A module and all that it imports, in one file. */
export interface Bundle {
  readonly artifact: Artifact;
  readonly exportNames: ReadonlySet<string>;
  /** What went in: the bundle is the module's as long as none of these changed. */
  readonly inputs: readonly InputFile[];
  /** Modules that stay outside, with a file that imports each. Node's own are not among them. */
  readonly outside: readonly { readonly specifier: string; readonly importer: string }[];
}

/** A file as it was when it was read. */
interface InputFile {
  readonly path: string;
  readonly mtimeMs: number;
  readonly size: number;
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
 * cannot be resolved or parsed, and with LimitError above ARTIFACT_BYTES_MAX.
 */
export async function bundleModule(module: Module, bytesMax: number = ARTIFACT_BYTES_MAX): Promise<Bundle> {
  const shipped = shippedBefore(module);
  if (shipped !== undefined) return shipped;
  const directory = dirname(module.file);
  const stdin = {
    contents: entryText(module),
    resolveDir: directory,
    sourcefile: "heddle-entry.mjs", // .mjs: `import x from` a CommonJS module is all of its module.exports, as in Node
  };
  return await bundle(optionsFor(stdin, packageRoot(directory) ?? directory), bytesMax);
}

/** Shipped code that ships functions of its own: an artifact is whole, and known everywhere by its name. */
function shippedBefore({ file, exportName }: Module): Bundle | undefined {
  const hash = basename(file, ".mjs");
  if (!/^[0-9a-f]{64}$/.test(hash)) return undefined;
  const bytes = readFileSync(file);
  if (createHash("sha256").update(bytes).digest("hex") !== hash) return undefined;
  return { artifact: { hash, bytes }, exportNames: new Set([exportName]), inputs: [], outside: [] };
}

/** Puts what a closure imports into its module. Rejects as `bundleModule`. */
export async function bundleClosure({ text, map, requests }: Emitted, bytesMax = ARTIFACT_BYTES_MAX): Promise<Bundle> {
  const [first] = requests;
  const directory = first?.importer === undefined ? process.cwd() : dirname(first.importer);
  const stdin = { contents: withMap(text, map), resolveDir: directory, sourcefile: CLOSURE_FILE };
  const options = optionsFor(stdin, packageRoot(directory) ?? directory);
  return await bundle({ ...options, plugins: [requestResolver(requests)] }, bytesMax);
}

/** A closure's module that needs nothing put in. Throws LimitError above ARTIFACT_BYTES_MAX. */
export function completeClosure({ text, map }: Emitted, bytesMax = ARTIFACT_BYTES_MAX): Bundle {
  return {
    artifact: artifactOf(withMap(text, map), bytesMax),
    exportNames: new Set(["default"]),
    inputs: [],
    outside: [],
  };
}

const CLOSURE_FILE = "heddle-closure.mjs";

async function bundle(options: Options, bytesMax: number): Promise<Bundle> {
  const root = options.absWorkingDir;
  const result = await built(options);
  const [output] = Object.values(result.metafile.outputs).filter(({ entryPoint }) => entryPoint !== undefined);
  return {
    artifact: artifactOf(finished(result, root), bytesMax),
    exportNames: new Set(output?.exports),
    inputs: inputsOf(result.metafile, root),
    outside: outsideOf(result.metafile, root),
  };
}

function artifactOf(text: string, bytesMax: number): Artifact {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length > bytesMax) throw new LimitError("ARTIFACT_BYTES_MAX", bytesMax, bytes.length);
  return { hash: createHash("sha256").update(bytes).digest("hex"), bytes };
}

function withMap(text: string, map: string): string {
  const inline = Buffer.from(map).toString("base64");
  return `${text}//# sourceMappingURL=data:application/json;base64,${inline}\n`;
}

/** Resolves what a closure names from where the user wrote it. */
function requestResolver(requests: readonly ModuleRequest[]): Plugin {
  const kinds = { import: "import-statement", "dynamic-import": "dynamic-import", require: "require-call" } as const;
  return {
    name: "heddle-requests",
    setup: (build) => {
      build.onResolve({ filter: new RegExp(`^${REQUEST_PREFIX}`) }, ({ path }) => {
        const request = requests[Number(path.slice(REQUEST_PREFIX.length))];
        if (request === undefined) return undefined;
        const { specifier, importer, how } = request;
        const from =
          importer === undefined ? { resolveDir: process.cwd() } : { importer, resolveDir: dirname(importer) };
        return build.resolve(specifier, { ...from, kind: kinds[how] });
      });
    },
  };
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

/** None of the files changed since. */
export function isFresh({ inputs }: Bundle): boolean {
  return inputs.every(({ path, mtimeMs, size }) => {
    const now = statSync(path, { throwIfNoEntry: false });
    return now?.mtimeMs === mtimeMs && now.size === size;
  });
}

function optionsFor(stdin: NonNullable<BuildOptions["stdin"]>, root: string): Options {
  return {
    stdin,
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
    external: ["*.node", "heddle", "heddle/*"],
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
function finished(result: Built, root: string): string {
  const code = fileNamed(result.outputFiles, ".mjs");
  const map = JSON.parse(fileNamed(result.outputFiles, ".map")) as { sources: string[]; sourceRoot?: string };
  map.sources = map.sources.map((source) => restoredUrl(source) ?? sourceUrl(resolve(root, source)));
  // Where esbuild's own helper asks for `require`, no module can have declared that name: it was renamed. Elsewhere it might.
  const needsRequire = code.includes('typeof require !== "undefined"');
  const firstLine = needsRequire ? `${REQUIRE} ${NAMES}` : NAMES;
  return withMap(`${code.replace(FIRST_LINE, () => firstLine)}\n`, JSON.stringify(map));
}

function fileNamed(files: readonly OutputFile[], suffix: string): string {
  return files.find(({ path }) => path.endsWith(suffix))?.text ?? "";
}

function inputsOf(metafile: Metafile, root: string): InputFile[] {
  const files: InputFile[] = [];
  for (const input of Object.keys(metafile.inputs)) {
    const path = resolve(root, input);
    const found = statSync(path, { throwIfNoEntry: false });
    if (found !== undefined) files.push({ path, mtimeMs: found.mtimeMs, size: found.size });
  }
  return files;
}

function outsideOf(metafile: Metafile, root: string): Bundle["outside"] {
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
