import type { HolderView, LockView, ObjectView, SessionNumber, WaitView } from "@heddle/core-objects";
import { type Clock, NotFoundError, UnavailableError } from "@heddle/kernel";
import { type Route, unaryRoute } from "@heddle/port-rpc";
import {
  type BreakLockResponse,
  type DescribeLockResponse,
  type DescribeObjectResponse,
  type ListLocksResponse,
  type ListObjectsResponse,
  type ListSessionsResponse,
  type LockHolder,
  type LockStatus,
  type LockWait,
  type ObjectStatus,
  objectsAdminBreakLock,
  objectsAdminDescribeLock,
  objectsAdminDescribeObject,
  objectsAdminListLocks,
  objectsAdminListObjects,
  objectsAdminListSessions,
} from "@heddle/wire";
import { fullError } from "./full.ts";
import type { Leases } from "./leases.ts";
import { DESCRIPTION_LENGTH_MAX, PAGE_ITEMS_MAX } from "./limits.ts";
import type { Replica } from "./replica.ts";

/** What answers are made of. */
export interface AdminViewOptions {
  readonly clock: Clock;
  readonly replica: Replica;
  readonly leases: Leases;
  /** Whether a stream of the session is open. */
  readonly isConnected: (session: SessionNumber) => boolean;
}

/** Answers operators: about what is on disk, like everything that the manager says. */
export class AdminView {
  readonly routes: readonly Route[];
  readonly #options: AdminViewOptions;

  constructor(options: AdminViewOptions) {
    this.#options = options;
    this.routes = [
      unaryRoute(objectsAdminListObjects, ({ after }) => this.#answer(() => this.#objects(after))),
      unaryRoute(objectsAdminDescribeObject, ({ object }) => this.#answer(() => this.#object(object))),
      unaryRoute(objectsAdminListLocks, ({ after }) => this.#answer(() => this.#locks(after))),
      unaryRoute(objectsAdminDescribeLock, ({ object }) => this.#answer(() => this.#lock(object))),
      unaryRoute(objectsAdminListSessions, () => this.#answer(() => this.#sessions())),
      unaryRoute(objectsAdminBreakLock, ({ object, reason }) => this.#answer(() => this.#break(object, reason))),
    ];
  }

  async #answer<T>(make: () => T): Promise<T> {
    const { replica } = this.#options;
    await replica.ready();
    if (!replica.isServing) throw new UnavailableError("the manager is stopping");
    const answer = make();
    await replica.settled();
    return answer;
  }

  #objects(after: string): ListObjectsResponse {
    const { items, more } = page(this.#core.objects(), after);
    return { objects: items.map(objectStatus), more };
  }

  #object(name: string): DescribeObjectResponse {
    const view = found(this.#core.objects(), name, "object");
    return { object: objectStatus(view), description: this.#description(view.creator) };
  }

  #locks(after: string): ListLocksResponse {
    const { items, more } = page(this.#core.locks(), after);
    return { locks: items.map((view) => this.#lockStatus(view)), more };
  }

  #lock(name: string): DescribeLockResponse {
    const view = found(this.#core.locks(), name, "lock");
    const queue = view.line.map(({ session, owner, since }) => ({
      session,
      owner,
      waitedMs: this.#agoMs(since),
      description: this.#description(session),
    }));
    const waits = waitsFrom(view.holders, this.#core.waits()).map(lockWait);
    return { lock: this.#lockStatus(view), queue, waits, deadlock: view.deadlock.map(lockWait) };
  }

  #sessions(): ListSessionsResponse {
    const { leases, isConnected } = this.#options;
    const sessions = this.#core.sessions().map(({ session, description, ttlMs, owners, objects, holds, waiting }) => ({
      ...{ session, description, ttlMs, owners, objects, waiting },
      leftMs: Math.round(leases.leftMs(session) ?? 0),
      connected: isConnected(session),
      held: holds,
    }));
    return { sessions };
  }

  #break(name: string, reason: string): BreakLockResponse {
    const { replica } = this.#options;
    const view = found(this.#core.locks(), name, "lock");
    if (replica.isFull) throw fullError("a lock cannot be broken");
    const broken = view.holders.map((holder) => this.#holder(holder));
    replica.apply({ type: "lock-broken", object: view.object, reason: reason.slice(0, DESCRIPTION_LENGTH_MAX) });
    return { broken };
  }

  get #core(): Replica["core"] {
    return this.#options.replica.core;
  }

  #lockStatus(view: LockView): LockStatus {
    return {
      object: view.object,
      kind: view.kind,
      holders: view.holders.map((holder) => this.#holder(holder)),
      waiting: view.line.length,
      free: view.free ?? 0,
      brokenReason: view.brokenReason ?? "",
    };
  }

  #holder({ session, owner, token, permits }: HolderView): LockHolder {
    return { session, owner, token, permits, heldMs: this.#agoMs(token), description: this.#description(session) };
  }

  #agoMs(revision: number): number {
    const { clock, replica } = this.#options;
    return Math.max(0, Math.round(clock.nowMs() - replica.moments.of(revision)));
  }

  #description(session: SessionNumber | undefined): string {
    return session === undefined ? "" : (this.#core.session(session)?.description ?? "");
  }
}

function objectStatus({
  object,
  kind,
  spec,
  items,
  bytes,
  created,
  changed,
  creator,
  waiting,
}: ObjectView): ObjectStatus {
  return { object, kind, spec, items, bytes, created, changed, session: creator ?? 0, waiting };
}

function lockWait({ session, owner, lock, holder }: WaitView): LockWait {
  return { session, owner, lock, holderSession: holder.session, holderOwner: holder.owner };
}

/** Those behind `after`, as many as fit into one answer. */
function page<T extends { readonly object: string }>(all: readonly T[], after: string): { items: T[]; more: boolean } {
  const behind = all.filter(({ object }) => object > after).sort((a, b) => (a.object < b.object ? -1 : 1));
  return { items: behind.slice(0, PAGE_ITEMS_MAX), more: behind.length > PAGE_ITEMS_MAX };
}

/** The one that a name means: an id, the beginning of one, or a name with or without its "@". Throws NotFoundError. */
function found<T extends { readonly object: string }>(all: readonly T[], name: string, what: string): T {
  const exact = all.find(({ object }) => object === name || object === `@${name}`);
  if (exact !== undefined) return exact;
  const begun = /^[0-9a-f]+$/.test(name) ? all.filter(({ object }) => object.startsWith(name)) : [];
  const [only] = begun;
  if (only !== undefined && begun.length === 1) return only;
  const shown = JSON.stringify(name.slice(0, 100));
  if (begun.length > 1) throw new NotFoundError(`${shown} is the beginning of the ids of ${begun.length} ${what}s`);
  throw new NotFoundError(`there is no ${what} ${shown}`);
}

/** What these wait for themselves, what the holders of that wait for, and so on. */
function waitsFrom(holders: readonly HolderView[], all: readonly WaitView[]): WaitView[] {
  const waits: WaitView[] = [];
  const seen = new Set<string>();
  const next = holders.map(({ session, owner }) => ({ session, owner }));
  for (let who = next.shift(); who !== undefined; who = next.shift()) {
    const { session, owner } = who;
    if (seen.has(`${session} ${owner}`)) continue;
    seen.add(`${session} ${owner}`);
    for (const wait of all) {
      if (wait.session !== session || wait.owner !== owner) continue;
      waits.push(wait);
      next.push(wait.holder);
    }
  }
  return waits;
}
