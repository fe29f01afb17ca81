import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { eventually } from "./waiting.ts";

/** What tasks in other processes of this machine wait at until the test lets them go on. */
export class Gate implements Disposable {
  readonly #directory = mkdtempSync(join(tmpdir(), "gate-test-"));
  /** For `passGate` and `meet`. */
  readonly path = join(this.#directory, "open");

  open(): void {
    mkdirSync(this.path);
  }

  [Symbol.dispose](): void {
    rmSync(this.#directory, { recursive: true });
  }
}

/** Says in a task that it has come to the gate, by a name. */
export function comeTo(path: string, name: string): void {
  writeFileSync(join(dirname(path), name), "");
}

/** Who has come to the gate, by name. */
export function comersTo(path: string): string[] {
  return readdirSync(dirname(path)).filter((name) => name !== basename(path));
}

/** Waits in a task for the gate to be open. Resolves with its path. */
export async function passGate(path: string): Promise<string> {
  await eventually(`the gate ${path} opens`, () => (existsSync(path) ? true : undefined));
  return path;
}

/** Waits in a task at an open gate until `count` names have come to it, this one included. */
export async function meet(path: string, name: string, count: number): Promise<void> {
  writeFileSync(join(path, name), "");
  await eventually(`${count} meet at ${path}`, () => (readdirSync(path).length >= count ? true : undefined));
}
