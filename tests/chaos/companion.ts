import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";

/** What a program of a run is asked. */
export interface Question {
  readonly id: number;
  readonly method: string;
  readonly args: readonly unknown[];
}

/** What it says: answers, and what happens by itself. */
export type Said<Event> =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: { readonly name: string; readonly message: string } }
  | { readonly event: Event };

export interface CompanionOptions<Event> {
  readonly command: readonly [string, ...string[]];
  /** Its standard output and error are appended here. */
  readonly log: string;
  readonly env: NodeJS.ProcessEnv;
  readonly hears: (event: Event) => void;
}

/** A program of ours on another host, which answers questions over Node's channel and tells of events. */
export class Companion<Event> {
  readonly child: ChildProcess;
  /** Resolves when it is gone, with its exit code or the signal. */
  readonly gone: Promise<number | string>;
  readonly #pending = new Map<number, PromiseWithResolvers<unknown>>();
  #lastId = 0;

  constructor({ command: [program, ...args], log, env, hears }: CompanionOptions<Event>) {
    const file = openSync(log, "a");
    const stdio = ["ignore", file, file, "ipc"] as ["ignore", number, number, "ipc"];
    // a session of its own, as servers have
    this.child = spawn(program, args, { env, stdio, serialization: "advanced", detached: true });
    closeSync(file);
    this.child.on("message", (said: Said<Event>) => this.#hear(said, hears));
    this.gone = once(this.child, "exit").then(([code, signal]) => (signal ?? code) as number | string);
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get isOver(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** Settles as the method does there, errors with their names and words; never when the program is killed meanwhile. */
  ask(method: string, ...args: readonly unknown[]): Promise<unknown> {
    const id = ++this.#lastId;
    const pending = Promise.withResolvers<unknown>();
    this.#pending.set(id, pending);
    const question: Question = { id, method, args };
    if (this.child.connected) this.child.send(question, () => undefined);
    return pending.promise;
  }

  #hear(said: Said<Event>, hears: (event: Event) => void): void {
    if ("event" in said) return hears(said.event);
    const pending = this.#pending.get(said.id);
    this.#pending.delete(said.id);
    if ("error" in said) pending?.reject(Object.assign(new Error(said.error.message), { name: said.error.name }));
    else pending?.resolve(said.value);
  }
}
