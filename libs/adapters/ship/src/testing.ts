import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
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

/** Files of a project that has a package `adder` installed, an old one that looks around itself. */
export const adder = {
  "package.json": '{"type": "module"}',
  "add.ts": "export const add = (n: number) => n + 1;",
  "node_modules/adder/package.json": '{"name": "adder", "main": "index.js"}',
  "node_modules/adder/index.js":
    'const path = require("path"); const one = require("./one.js"); module.exports = (n) => n + one + path.basename(__filename).length * 0;',
  "node_modules/adder/one.js": "module.exports = 1;",
};
