import { StateError } from "@heddle/kernel";
import { type SharedDescription, shared, sharedDescription } from "@heddle/wire";
import { described } from "../describe.ts";
import type { ObjectsHome } from "./home.ts";
import { Lock } from "./lock.ts";
import { RLock } from "./rlock.ts";

/** Which lock goes with a value or an array: another one's, none, or one of its own unless given. */
export type CellLockOption = Lock | RLock | false;

/** What whoever receives a handle is told of its lock. */
export type LockTrait = false | SharedDescription;

/** The lock of a value or an array, made when it is first asked for. */
export class CellLock {
  readonly #make: () => Lock | RLock | undefined;
  #lock: Lock | RLock | undefined;

  private constructor(make: () => Lock | RLock | undefined) {
    this.#make = make;
  }

  /** As the option says. `name`: of the value or array. Throws TypeError for what is no lock. */
  static of(home: ObjectsHome, option: unknown, name: string | undefined): CellLock {
    if (option === false) return new CellLock(() => undefined);
    if (option === undefined) return new CellLock(() => ownLock(home, name));
    if (!(option instanceof Lock || option instanceof RLock))
      throw new TypeError(`lock must be a Lock, an RLock or false, got ${described(option)}`);
    return new CellLock(() => option);
  }

  /** As a description says. */
  static revived(home: ObjectsHome, trait: unknown): CellLock {
    const description = sharedDescription(trait);
    if (description === undefined) return new CellLock(() => undefined);
    return new CellLock(() => {
      const lock = home.revive(description);
      return lock instanceof Lock || lock instanceof RLock ? lock : undefined;
    });
  }

  /** Throws StateError when there is none. */
  get(what: string): Lock | RLock {
    const lock = this.#find();
    if (lock === undefined) throw new StateError(`${what} has no lock: it was made with { lock: false }`);
    return lock;
  }

  /** A use of the lock. */
  describe(): LockTrait {
    return this.#find()?.[shared]() ?? false;
  }

  /** Resolves when the manager has it. */
  get created(): Promise<void> {
    return this.#find()?.created ?? Promise.resolve();
  }

  /** Undefined when it does, and for none. */
  get pending(): Promise<void> | undefined {
    return this.#lock?.pending;
  }

  #find(): Lock | RLock | undefined {
    this.#lock ??= this.#make();
    return this.#lock;
  }
}

/** That of a named object has a name too, which every handle of it finds. */
function ownLock(home: ObjectsHome, name: string | undefined): RLock {
  return new RLock(name === undefined ? {} : { name: `${name}/lock` }, { home });
}
