import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import type { AnyFunction, Artifact, FunctionMaker, ShippedFunction } from "@heddle/port-shipper";
import { decodeValue } from "@heddle/wire";
import { createFunctionLoader } from "./loader.ts";

/** A project of somebody else, in a directory of its own. */
export class Project implements Disposable {
  readonly root = realpathSync(mkdtempSync(join(tmpdir(), "ship-test-")));

  constructor(files: Readonly<Record<string, string>>) {
    for (const [name, text] of Object.entries(files)) this.write(name, text);
  }

  write(name: string, content: string | Uint8Array): string {
    const path = join(this.root, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
    return path;
  }

  /** Stores an artifact as blobs do. */
  store({ hash, bytes }: Artifact): string {
    return this.write(`artifacts/${hash}.mjs`, bytes);
  }

  /** The function that a worker would make of what was shipped. */
  async load({ artifact, exportName, captured }: ShippedFunction): Promise<AnyFunction> {
    const exported = await createFunctionLoader().load(this.store(artifact), artifact.hash, exportName);
    if (captured === undefined) return exported;
    const bytes = captured instanceof Uint8Array ? captured : captured.bytes;
    return (exported as unknown as FunctionMaker)((functions) => {
      const reviveFunction = (index: unknown): unknown => functions[index as number];
      return decodeValue(bytes, "value", { reviveFunction }) as unknown[];
    });
  }

  path(name: string): string {
    return join(this.root, name);
  }

  import<T = Record<string, (...args: never[]) => unknown>>(name: string): Promise<T> {
    return import(/* @vite-ignore */ pathToFileURL(this.path(name)).href) as Promise<T>;
  }

  /** What a program of the project sent by `send` of its `kit.mjs`. */
  async sent(program: string): Promise<Record<string, SentFunction>> {
    this.write("kit.mjs", KIT);
    await this.run(program);
    return JSON.parse(readFileSync(this.path("sent.json"), "utf8")) as Record<string, SentFunction>;
  }

  /** What a worker is told of something shipped, with its artifact stored. */
  describe({ artifact, exportName, captured }: ShippedFunction): SentFunction {
    const bytes = captured instanceof Uint8Array ? captured : captured?.bytes;
    const told = bytes === undefined ? undefined : Buffer.from(bytes).toString("base64");
    return { location: this.store(artifact), hash: artifact.hash, exportName, captured: told };
  }

  /**
   * Another process, started in `cwd`, loads the functions and calls them: what each gives, or the stack of what it throws. Rejects when
   * something else is printed: the top level of a program runs once.
   */
  async callElsewhere(
    calls: readonly Call[],
    { cwd = "", inside = {} }: { readonly cwd?: string; readonly inside?: Readonly<Record<string, string>> } = {},
  ): Promise<unknown[]> {
    this.write("worker.mjs", WORKER);
    mkdirSync(this.path(cwd), { recursive: true });
    const { NODE_OPTIONS: _, ...env } = process.env;
    const told = JSON.stringify({ calls, inside });
    const options = ["--enable-source-maps", "--conditions=@heddle/source", this.path("worker.mjs"), told];
    const { stdout } = await promisify(execFile)(process.execPath, options, { cwd: this.path(cwd), env });
    return stdout.split("\n").flatMap((line) => {
      if (line === "") return [];
      const [, told] = /^told: (.*)$/.exec(line) ?? [];
      if (told === undefined) throw new Error(`the other process printed ${line}`);
      const { value, stack } = JSON.parse(told) as { value?: unknown; stack?: string };
      return [stack ?? value];
    });
  }

  /** Runs a script of the project with plain Node.js; resolves to what it printed. */
  async run(script: string, ...nodeOptions: string[]): Promise<string> {
    const { NODE_OPTIONS: _, ...env } = process.env;
    const options = [...nodeOptions, "--conditions=@heddle/source", this.path(script)];
    const { stdout, stderr } = await promisify(execFile)(process.execPath, options, { cwd: this.root, env });
    return stdout + stderr;
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** What a worker is told of a function. */
export interface SentFunction {
  readonly location: string;
  readonly hash: string;
  readonly exportName: string;
  /** In base64. */
  readonly captured: string | undefined;
}

/** One call of a function in another process. */
export type Call = readonly [sent: SentFunction, ...args: unknown[]];

const source = (name: string): string => JSON.stringify(new URL(name, import.meta.url).href);

/** What programs of projects send functions with: it tells `sent.json` of them by name. */
const KIT = `
import { mkdirSync, writeFileSync } from "node:fs";
import { createShipper } from ${source("./index.ts")};
export const shipper = createShipper();
const sent = {};
const at = (name) => import.meta.dirname + "/" + name;
export async function send(functions) {
  mkdirSync(at("artifacts"), { recursive: true });
  for (const [name, fn] of Object.entries(functions)) {
    const { artifact, exportName, captured } = await shipper.ship(fn);
    const location = at("artifacts/" + artifact.hash + ".mjs");
    writeFileSync(location, artifact.bytes);
    const bytes = captured?.bytes ?? captured;
    sent[name] = { location, hash: artifact.hash, exportName, captured: bytes && Buffer.from(bytes).toString("base64") };
  }
  writeFileSync(at("sent.json"), JSON.stringify(sent));
  await shipper[Symbol.asyncDispose]();
}
`;

const WORKER = `
import { createFunctionLoader } from ${source("./loader.ts")};
import { decodeValue } from ${JSON.stringify(import.meta.resolve("@heddle/wire"))};
const { calls, inside } = JSON.parse(process.argv[2]);
const loader = createFunctionLoader({ inside });
const tell = (told) => console.log("told: " + JSON.stringify(told));
for (const [{ location, hash, exportName, captured }, ...args] of calls) {
  try {
    const exported = await loader.load(location, hash, exportName);
    const values = (functions) =>
      decodeValue(Buffer.from(captured, "base64"), "value", { reviveFunction: (index) => functions[index] });
    const fn = captured === undefined ? exported : exported(values);
    tell({ value: await fn(...args) });
  } catch (error) {
    tell({ stack: error.stack });
  }
}
`;

/** Files of a project that has a package `adder` installed, an old one that looks around itself. */
export const adder = {
  "package.json": '{"type": "module"}',
  "add.ts": "export const add = (n: number) => n + 1;",
  "node_modules/adder/package.json": '{"name": "adder", "main": "index.js"}',
  "node_modules/adder/index.js":
    'const path = require("path"); const one = require("./one.js"); module.exports = (n) => n + one + path.basename(__filename).length * 0;',
  "node_modules/adder/one.js": "module.exports = 1;",
};
