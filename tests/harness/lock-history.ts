import type { Clock, Random } from "@heddle/kernel";
import {
  assertLinearizable,
  checkLinearizable,
  type LockInput,
  lockModel,
  type Operation,
  Recorder,
} from "@heddle/sim";
import type { Calls, ObjectName } from "./caller.ts";

/** A lock that callers contend for, what they write under it, and the history of that. */
export class LockHistory {
  readonly lock: ObjectName;
  /** What is written under the lock: the token, each time. */
  readonly log: ObjectName;
  readonly #recorder: Recorder<LockInput>;

  constructor(suffix: string, clock: Clock) {
    this.lock = { kind: "lock", name: `lock ${suffix}` };
    this.log = { kind: "list", name: `log ${suffix}`, args: [[]] };
    this.#recorder = new Recorder(clock);
  }

  /** Acquires the lock if it is free soon, writes under it and releases it. */
  async use(caller: Calls, client: number, random: Random): Promise<void> {
    const isPatient = random.int(3) > 0;
    const token = await this.#record(client, isPatient ? "acquire" : "tryAcquire", () =>
      isPatient ? caller.call(this.lock, "acquire", [{ timeoutMs: 100 }]) : caller.call(this.lock, "tryAcquire"),
    ).catch((error: Error) => {
      if (error.name !== "TimeoutError") throw error;
      return null;
    });
    if (typeof token !== "bigint") return;
    for (let writes = random.int(3); writes > 0; writes--) await this.#write(caller, client, token);
    await this.#release(caller, client, token);
  }

  /** Waits for the lock for as long as it takes, and gives it back. Resolves with whether somebody has it then. */
  async close(caller: Calls, client: number): Promise<unknown> {
    const token = await this.#record(client, "acquire", () => caller.call(this.lock, "acquire"));
    if (typeof token !== "bigint") throw new Error("an acquire gave no guard");
    await this.#write(caller, client, token);
    await this.#release(caller, client, token);
    return await this.#recorder.record(client, this.lock.name, { type: "locked" }, () =>
      caller.call(this.lock, "locked"),
    );
  }

  /** A caller's process is dead: its session ends when its lease does. */
  ends(client: number): void {
    this.#recorder.expect(client, this.lock.name, { type: "expire", owner: String(client) });
  }

  get history(): readonly Operation<LockInput>[] {
    return this.#recorder.histories().get(this.lock.name) ?? [];
  }

  /** Throws HistoryError unless the history is linearizable. */
  judge(): void {
    assertLinearizable(this.lock.name, this.history, lockModel());
  }

  /** Whether a lock could have behaved so. */
  static allows(history: readonly Operation<LockInput>[]): boolean {
    return checkLinearizable(history, lockModel()).type === "linearizable";
  }

  #record(client: number, type: "acquire" | "tryAcquire", call: () => Promise<unknown>): Promise<unknown> {
    return this.#recorder.record(client, this.lock.name, { type, owner: String(client) }, call);
  }

  async #write(caller: Calls, client: number, token: bigint): Promise<void> {
    const call = (): Promise<unknown> => caller.call(this.log, "append", [token], token);
    await this.#recorder.record(client, this.lock.name, { type: "write", token }, call);
  }

  async #release(caller: Calls, client: number, token: bigint): Promise<void> {
    const call = (): Promise<unknown> => caller.call(this.lock, "release", [], token);
    await this.#recorder.record(client, this.lock.name, { type: "release", token }, call);
  }
}
