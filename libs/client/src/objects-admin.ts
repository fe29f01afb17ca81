import { PermissionError, ProtocolError } from "@heddle/kernel";
import {
  type LockHolder,
  type LockStatus,
  type LockWait,
  type LockWaiter,
  type ObjectStatus,
  objectsAdminBreakLock,
  objectsAdminDescribeLock,
  objectsAdminDescribeObject,
  objectsAdminListLocks,
  objectsAdminListObjects,
  objectsAdminListSessions,
  type SessionStatus,
} from "@heddle/wire";
import type { Fabric } from "./fabric.ts";

/** One shared object, and whom it ends with. */
interface ObjectReport {
  readonly object: ObjectStatus;
  /** The holder of the session that it ends with, for people; empty for an object that has a name. */
  readonly description: string;
}

/** One lock or semaphore, and why it is not free. */
interface LockReport {
  readonly lock: LockStatus;
  /** Who waits for it, the next one first; the first thousand. */
  readonly queue: readonly LockWaiter[];
  /** What its holders wait for themselves, what the holders of that wait for, and so on; the first hundred. */
  readonly waits: readonly LockWait[];
  /** Waits that form a circle, this lock's holder's first, each for what the next one holds; empty when there is none. */
  readonly deadlock: readonly LockWait[];
}

/**
 * What an operator asks a fabric's manager, through the coordinator. `name`: an object's name with or without "@", its id, or the beginning of its id that no
 * other has. Everything rejects with UnavailableError or TimeoutError when nobody answers, with StateError when the fabric has no manager, with
 * AuthenticationError or PermissionError when this side is not let in or may not ask this, and with NotFoundError for a name that is nobody's or that of several.
 */
export interface ObjectsAdmin {
  /** Every shared object, in order of ids. */
  readonly objects: () => Promise<ObjectStatus[]>;
  readonly object: (name: string) => Promise<ObjectReport>;
  /** Every lock and semaphore, in order of ids. */
  readonly locks: () => Promise<LockStatus[]>;
  readonly lock: (name: string) => Promise<LockReport>;
  /** Every session that lives, in order of numbers. */
  readonly sessions: () => Promise<SessionStatus[]>;
  /**
   * Takes a lock, or all permits of a semaphore, from whoever has it, as if that had died: the next one in line gets it, and writes under the old token are refused. `reason`, of
   * which 200 characters are kept, is for people. Resolves to those who held it; none when it was free. On a fabric with TLS it takes the admin's certificate: PermissionError else.
   */
  readonly breakLock: (name: string, options?: { readonly reason?: string }) => Promise<LockHolder[]>;
}

/** The questions of operators to the manager of this fabric. */
export function objectsAdmin(fabric: Pick<Fabric, "ask">): ObjectsAdmin {
  return {
    objects: () =>
      allPages("", async (after) => {
        const { objects, more } = await fabric.ask(objectsAdminListObjects, { after });
        return { items: objects, last: objects.at(-1)?.object, more };
      }),
    object: async (name) => {
      const { object, description } = await fabric.ask(objectsAdminDescribeObject, { object: name });
      return { object: told(object), description };
    },
    locks: () =>
      allPages("", async (after) => {
        const { locks, more } = await fabric.ask(objectsAdminListLocks, { after });
        return { items: locks, last: locks.at(-1)?.object, more };
      }),
    lock: async (name) => {
      const { lock, queue, waits, deadlock } = await fabric.ask(objectsAdminDescribeLock, { object: name });
      return { lock: told(lock), queue, waits, deadlock };
    },
    sessions: () =>
      allPages(0, async (after) => {
        const { sessions, more } = await fabric.ask(objectsAdminListSessions, { after });
        return { items: sessions, last: sessions.at(-1)?.session, more };
      }),
    breakLock: async (name, { reason = "" } = {}) => {
      const asked = fabric.ask(objectsAdminBreakLock, { object: name, reason });
      return (await asked.catch(sayWhoBreaksLocks)).broken;
    },
  };
}

/** Asks for page after page, each from behind the `last` of the one before, until there are no more. */
async function allPages<T, K>(
  first: K,
  ask: (after: K) => Promise<{ readonly items: readonly T[]; readonly last: K | undefined; readonly more: boolean }>,
): Promise<T[]> {
  const all: T[] = [];
  for (let after = first; ; ) {
    const { items, last, more } = await ask(after);
    for (const item of items) all.push(item);
    if (!more || last === undefined) return all;
    after = last;
  }
}

function sayWhoBreaksLocks(cause: unknown): never {
  if (!(cause instanceof PermissionError)) throw cause;
  const advice = "breaking a lock takes the admin's certificate (heddle certs init puts it into DIR/admin)";
  throw new PermissionError(`${cause.message}; ${advice}`, { cause });
}

function told<T>(part: T | undefined): T {
  if (part === undefined) throw new ProtocolError("the manager's answer does not say what was asked for");
  return part;
}
