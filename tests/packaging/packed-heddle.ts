import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { globSync } from "node:fs";
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { promisify } from "node:util";

const repository = join(import.meta.dirname, "../..");
const run = promisify(execFile);

/** One file of the tarball, as `npm pack --json` tells it. */
interface PackedFile {
  readonly path: string;
  readonly size: number;
}

/** Servers started from the package. */
interface PackedFabric extends AsyncDisposable {
  readonly address: string;
  /** Asks it to end; its exit code. */
  readonly stop: () => Promise<number | null>;
}

interface Manifest {
  readonly version: string;
  readonly bin: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly exports: unknown;
}

/** The package, built and packed by the real tools, and installed into a project in a temporary directory. */
export class PackedHeddle implements AsyncDisposable {
  /** The project that uses it: consumer/, copied. */
  readonly project: string;
  readonly files: readonly PackedFile[];
  readonly manifest: Manifest;
  readonly #directory: string;

  private constructor(directory: string, files: readonly PackedFile[], manifest: Manifest) {
    this.#directory = directory;
    this.project = join(directory, "project");
    this.files = files;
    this.manifest = manifest;
  }

  /** Rejects with what the tool said that failed. Its dependencies come from this checkout: nothing is fetched. */
  static async install(): Promise<PackedHeddle> {
    const directory = await mkdtemp(join(tmpdir(), "heddle-packed-"));
    const out = join(directory, "out");
    await run(process.execPath, [join(repository, "tools/build-sdk.mjs"), "--out", out]);
    const packing = ["pack", join(out, "package"), "--json", "--ignore-scripts", "--pack-destination", directory];
    const { stdout } = await run("npm", packing, { cwd: directory });
    const { filename, files } = packed(stdout);

    const installed = join(directory, "project/node_modules/heddle");
    await mkdir(installed, { recursive: true });
    await run("tar", ["-xzf", join(directory, filename), "-C", installed, "--strip-components=1"]);
    await cp(join(import.meta.dirname, "consumer"), join(directory, "project"), { recursive: true });
    await writeFile(join(directory, "project/package.json"), JSON.stringify({ name: "project", type: "module" }));
    const manifest = JSON.parse(await readFile(join(installed, "package.json"), "utf8")) as Manifest;
    const heddle = new PackedHeddle(directory, files, manifest);
    await heddle.#link(manifest);
    return heddle;
  }

  /** Its place in the project's node_modules. */
  get installed(): string {
    return join(this.project, "node_modules/heddle");
  }

  /** Runs a program in the project, by this Node; its output. Rejects, with its output, when it fails. */
  async run(file: string, args: readonly string[] = [], env: Readonly<Record<string, string>> = {}): Promise<string> {
    const options = { cwd: this.project, env: { ...cleanEnvironment(), ...env } };
    const { stdout } = await run(process.execPath, [file, ...args], options).catch(explained);
    return stdout;
  }

  /** Starts `heddle up` in the project, with these flags besides; resolves when it serves. */
  async up(...flags: readonly string[]): Promise<PackedFabric> {
    const args = ["node_modules/.bin/heddle", "up", "--processes", "2", "--listen", "127.0.0.1:0", ...flags];
    const options = { cwd: this.project, env: cleanEnvironment() };
    const child = spawn(process.execPath, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
    const exited = once(child, "exit").then(([code]) => code as number | null);
    let told = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      told += text;
    });
    const stop = async (): Promise<number | null> => {
      child.kill("SIGTERM");
      return await exited;
    };
    const address = Promise.race([
      firstMatch(child.stdout, /HEDDLE_ADDRESS=(\S+)/),
      exited.then((code) => Promise.reject(new Error(`heddle up ended with ${code}: ${told}`))),
    ]);
    return { address: await address, stop, [Symbol.asyncDispose]: async () => void (await stop()) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
  }

  /** What `npm install` would have put beside it: what it depends on and nothing else, the command, and Node's types for the compiler. */
  async #link(manifest: Manifest): Promise<void> {
    const modules = dirname(this.installed);
    for (const name of [...Object.keys(manifest.dependencies), "@types/node"]) {
      await mkdir(dirname(join(modules, name)), { recursive: true });
      await symlink(directoryOf(name), join(modules, name));
    }
    await mkdir(join(modules, ".bin"));
    for (const [name, file] of Object.entries(manifest.bin)) {
      await symlink(join("../heddle", file), join(modules, ".bin", name));
    }
  }
}

function packed(json: string): { readonly filename: string; readonly files: readonly PackedFile[] } {
  const [tarball] = JSON.parse(json) as { filename: string; files: PackedFile[] }[];
  if (tarball === undefined) throw new Error(`npm pack made nothing: ${json}`);
  return tarball;
}

/** This process's environment, without a fabric to use. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const { HEDDLE_ADDRESS: _, ...env } = process.env;
  return env;
}

/** The first group of the pattern's first match in what the stream says. */
async function firstMatch(stream: Readable, pattern: RegExp): Promise<string> {
  let text = "";
  for await (const chunk of stream.setEncoding("utf8")) {
    text += String(chunk);
    const found = pattern.exec(text)?.[1];
    if (found !== undefined) return found;
  }
  throw new Error(`nothing like ${pattern} in ${JSON.stringify(text)}`);
}

/** A compiler's complaints are on standard output, which Node's own error leaves out. */
function explained(error: Error & { readonly stdout?: string }): never {
  throw new Error(`${error.message}\n${error.stdout ?? ""}`, { cause: error });
}

/** Where this checkout has an npm package: beside the package that wants a release of its own, else at the root. */
function directoryOf(name: string): string {
  const [own] = globSync(`{libs,apps}/{*,*/*}/node_modules/${name}`, { cwd: repository });
  return join(repository, own ?? `node_modules/${name}`);
}
