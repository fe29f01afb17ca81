import type { Flow } from "./flows.ts";
import type { Hold } from "./hold.ts";

/** What this process holds under one session. */
export class Holdings {
  /** How many open connections it has of each end of a pipe. */
  readonly #connections = new Map<string, number>();
  /** The newest last. No object without a hold. */
  readonly #holds = new Map<string, Set<Hold>>();

  /** What owners ask for that the manager has not answered, by object and number. */
  readonly #arriving = new Map<string, Promise<unknown>>();

  add(hold: Hold): void {
    const holds = this.#holds.get(hold.lock);
    if (holds === undefined) this.#holds.set(hold.lock, new Set([hold]));
    else holds.add(hold);
  }

  remove(hold: Hold): void {
    const holds = this.#holds.get(hold.lock);
    if (holds?.delete(hold) === true && holds.size === 0) this.#holds.delete(hold.lock);
  }

  /** An operator took one away. */
  revoke(object: string, token: number, reason: string): void {
    const hold = this.#of(object).find((one) => one.token === token);
    hold?.isLost(reason === "" ? "an operator took it away" : `an operator took it away: ${reason}`);
  }

  /** Those whose owners are over. */
  leaveEnded(): void {
    for (const holds of [...this.#holds.values()])
      for (const hold of [...holds]) if (hold.owner.isOver) hold.leaveOwner();
  }

  /** The newest hold of an object that an owner has and that does not wait at a condition. */
  newest(object: string, owner: Flow): Hold | undefined {
    return this.#of(object).findLast((hold) => hold.owner === owner && !hold.isWaiting);
  }

  /** What an owner is about to hold. */
  arriving(object: string, { number }: Flow): Promise<unknown> | undefined {
    return this.#arriving.get(`${object} ${number}`);
  }

  /** An owner asks; one at a time for each object. Until disposed. */
  arrives(object: string, { number }: Flow, asked: Promise<unknown>): Disposable {
    const key = `${object} ${number}`;
    this.#arriving.set(key, asked);
    return { [Symbol.dispose]: () => this.#arriving.delete(key) };
  }

  /** One connection more of an end of a pipe. */
  addConnection(object: string, end: number): void {
    const key = `${object} ${end}`;
    this.#connections.set(key, (this.#connections.get(key) ?? 0) + 1);
  }

  /** One fewer; whether it was the last. */
  removeConnection(object: string, end: number): boolean {
    const key = `${object} ${end}`;
    const left = (this.#connections.get(key) ?? 0) - 1;
    if (left > 0) this.#connections.set(key, left);
    else this.#connections.delete(key);
    return left <= 0;
  }

  #of(object: string): Hold[] {
    return [...(this.#holds.get(object) ?? [])];
  }
}
