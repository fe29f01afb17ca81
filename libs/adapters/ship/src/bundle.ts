import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { ARTIFACT_BYTES_MAX, LimitError } from "@heddle/kernel";
import type { Artifact } from "@heddle/port-shipper";
import type { BuildOptions, BuildResult, Metafile, OutputFile } from "esbuild";
import type { FoundExport } from "./find-export.ts";

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

type Module = Pick<FoundExport, "file" | "hasDefault" | "commonJsNames">;
type Options = BuildOptions & { write: false; metafile: true };
type Built = BuildResult<{ write: false; metafile: true }>;

/** The line that esbuild puts first; what really goes there is known only after it ran. Never more than one line: the map counts on it. */
const FIRST_LINE = "/* heddle artifact */";
const NAMES = "const __heddle_filename = import.meta.filename, __heddle_dirname = import.meta.dirname;";
const REQUIRE =
  'import { createRequire as __heddle_createRequire } from "node:module"; const require = __heddle_createRequire(import.meta.url);';

/**
 * Bundles a module. The same sources give the same bytes, wherever the checkout is. Rejects with esbuild's own error when something
 * cannot be resolved or parsed, and with LimitError above ARTIFACT_BYTES_MAX.
 */
export async function bundleModule(module: Module, bytesMax: number = ARTIFACT_BYTES_MAX): Promise<Bundle> {
  const root = packageRoot(dirname(module.file));
  const result = await built(optionsFor(module, root));
  const [output] = Object.values(result.metafile.outputs).filter(({ entryPoint }) => entryPoint !== undefined);
  const bytes = new TextEncoder().encode(finished(result, root));
  if (bytes.length > bytesMax) throw new LimitError("ARTIFACT_BYTES_MAX", bytesMax, bytes.length);
  return {
    artifact: { hash: createHash("sha256").update(bytes).digest("hex"), bytes },
    exportNames: new Set(output?.exports),
    inputs: inputsOf(result.metafile, root),
    outside: outsideOf(result.metafile, root),
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

function optionsFor(module: Module, root: string): Options {
  return {
    stdin: {
      contents: entryText(module),
      resolveDir: dirname(module.file),
      sourcefile: "heddle-entry.mjs", // .mjs: `import x from` a CommonJS module is all of its module.exports, as in Node
    },
    absWorkingDir: root, // paths in comments and in the map are relative to it
    outfile: join(root, "heddle-artifact.mjs"),
    write: false,
    metafile: true,
    bundle: true,
    platform: "node",
    target: "node24",
    format: "esm",
    sourcemap: "external",
    sourcesContent: true,
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
  map.sources = map.sources.map((source) => portableSource(resolve(root, source)));
  const inline = Buffer.from(JSON.stringify(map)).toString("base64");
  // Where esbuild's own helper asks for `require`, no module can have declared that name: it was renamed. Elsewhere it might.
  const needsRequire = code.includes('typeof require !== "undefined"');
  const firstLine = needsRequire ? `${REQUIRE} ${NAMES}` : NAMES;
  return `${code.replace(FIRST_LINE, () => firstLine)}\n//# sourceMappingURL=data:application/json;base64,${inline}\n`;
}

function fileNamed(files: readonly OutputFile[], suffix: string): string {
  return files.find(({ path }) => path.endsWith(suffix))?.text ?? "";
}

/** How a source is named in stack traces: by its package and its path inside, never by where the checkout is. */
function portableSource(path: string): string {
  const inPackages = path.lastIndexOf(`${sep}node_modules${sep}`);
  if (inPackages >= 0) return slashes(path.slice(inPackages + 1));
  const root = packageRoot(dirname(path));
  const name = packageName(root);
  return slashes(name === undefined ? relative(root, path) : join(name, relative(root, path)));
}

function slashes(path: string): string {
  return path.replaceAll(sep, "/");
}

/** The nearest directory upwards with a package.json, or the directory itself. */
function packageRoot(directory: string): string {
  for (let at = directory; ; at = dirname(at)) {
    if (existsSync(join(at, "package.json"))) return at;
    if (at === dirname(at)) return directory;
  }
}

function packageName(root: string): string | undefined {
  const file = join(root, "package.json");
  if (!existsSync(file)) return undefined;
  const { name } = JSON.parse(readFileSync(file, "utf8")) as { name?: unknown };
  return typeof name === "string" && name !== "" ? name : undefined;
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
