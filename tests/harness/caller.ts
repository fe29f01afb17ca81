import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { settles } from "./waiting.ts";

/** A shared object as the manager's factory of that kind gives it. */
export interface ObjectName {
  readonly kind: "dict" | "list" | "value" | "queue" | "lock" | "barrier";
  readonly name: string;
  /** Of the factory, before its options. */
  readonly args?: readonly unknown[];
}

/** Whoever can be told to call shared objects. */
export interface Calls {
  /** Settles as the call does there; a guard is given as its token. */
  call(object: ObjectName, method: string, args?: readonly unknown[], under?: bigint): Promise<unknown>;
}

/** What a caller is told to do. */
export interface Wanted {
  readonly id: number;
  readonly object: ObjectName;
  readonly method: string;
  readonly args: readonly unknown[];
  /** The token of the guard under which it is called. */
  readonly under?: bigint | undefined;
}

/** What a caller tells. A guard is told as its token. */
export type Told =
  | { readonly isReady: true }
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: { readonly name: string; readonly message: string } };

/** A client process with a session of its own, which calls shared objects as it is told. */
export class Caller implements Calls, AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #pending = new Map<number, PromiseWithResolvers<unknown>>();
  readonly #ready = Promise.withResolvers<void>();
  #lastId = 0;

  private constructor(address: string, ttlMs: number) {
    const script = fileURLToPath(new URL("../behaviour/scripts/caller.ts", import.meta.url));
    this.#child = fork(script, [address, String(ttlMs)], {
      execArgv: ["--conditions=@heddle/source"],
      serialization: "advanced",
    });
    this.#child.on("message", (told: Told) => this.#tell(told));
    this.#child.once("exit", (code, signal) => this.#ready.reject(new Error(`it ended: ${signal ?? code}`)));
  }

  /** Resolves once its session is open. */
  static async start(address: string, ttlMs = 15_000): Promise<Caller> {
    const caller = new Caller(address, ttlMs);
    try {
      await settles(caller.#ready.promise, () => "a program that calls", 30_000);
      return caller;
    } catch (error) {
      await caller[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Makes the call there; never settles when the process is killed. Errors come back with their names and words. */
  call(object: ObjectName, method: string, args: readonly unknown[] = [], under?: bigint): Promise<unknown> {
    const id = ++this.#lastId;
    const pending = Promise.withResolvers<unknown>();
    this.#pending.set(id, pending);
    this.#send({ id, object, method, args, under });
    return pending.promise;
  }

  /** Kills it (-9). Resolves when it is gone. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await gone;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  #send(wanted: Wanted): void {
    if (this.#child.connected) this.#child.send(wanted, () => undefined);
  }

  #tell(told: Told): void {
    if ("isReady" in told) return this.#ready.resolve();
    const pending = this.#pending.get(told.id);
    this.#pending.delete(told.id);
    if ("error" in told) pending?.reject(Object.assign(new Error(told.error.message), { name: told.error.name }));
    else pending?.resolve(told.value);
  }
}
