import type { HolderView, LockView, ObjectView, SessionNumber, WaitView } from "@heddle/core-objects";
import { type Clock, type Logger, NotFoundError, UnavailableError } from "@heddle/kernel";
import { type Caller, identityText, type Route, unaryRoute } from "@heddle/port-rpc";
import {
  type BreakLockResponse,
  type DescribeLockResponse,
  type DescribeObjectResponse,
  type ListLocksResponse,
  type ListObjectsResponse,
  type ListSessionsResponse,
  type LockHolder,
  LockStatus,
  type LockWait,
  ObjectStatus,
  objectsAdminBreakLock,
  objectsAdminDescribeLock,
  objectsAdminDescribeObject,
  objectsAdminListLocks,
  objectsAdminListObjects,
  objectsAdminListSessions,
  SessionStatus,
} from "@heddle/wire";
import { fullError } from "./full.ts";
import type { Leases } from "./leases.ts";
import { DESCRIPTION_LENGTH_MAX, HOLDERS_TOLD_MAX, PAGE_BYTES_MAX, PAGE_ITEMS_MAX } from "./limits.ts";
import type { Replica } from "./replica.ts";

/** What answers are made of. */
export interface AdminViewOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly replica: Replica;
  readonly leases: Leases;
  /** Whether a stream of the session is open. */
  readonly isConnected: (session: SessionNumber) => boolean;
  /** Who holds it, as far as that is known. */
  readonly holderOf: (session: SessionNumber) => Caller | undefined;
  /** Who an owner in it is, for people; empty when nobody says so. */
  readonly ownerDescription: (session: SessionNumber, owner: number) => string;
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
      unaryRoute(objectsAdminListSessions, ({ after }) => this.#answer(() => this.#sessions(after))),
      unaryRoute(objectsAdminBreakLock, ({ object, reason }, caller) =>
        this.#answer(() => this.#break(object, reason, caller)),
      ),
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
    const { items, more } = page(behind(this.#core.objects(), after).map(objectStatus), ObjectStatus);
    return { objects: items, more };
  }

  #object(name: string): DescribeObjectResponse {
    const view = found(
      name,
      "object",
      (ref) => this.#core.object(ref),
      () => this.#core.objects(),
    );
    return { object: objectStatus(view), description: this.#description(view.creator) };
  }

  #locks(after: string): ListLocksResponse {
    const statuses = behind(this.#core.locks(), after).map((view) => this.#lockStatus(view));
    const { items, more } = page(statuses, LockStatus);
    return { locks: items, more };
  }

  #lock(name: string): DescribeLockResponse {
    const view = this.#find(name);
    const queue = view.line.slice(0, PAGE_ITEMS_MAX).map(({ session, owner, since }) => ({
      session,
      owner,
      waitedMs: this.#agoMs(since),
      description: this.#description(session, owner),
    }));
    const waits = waitsFrom(view.holders, this.#core.waits()).map((wait) => this.#lockWait(wait));
    const deadlock = view.deadlock.slice(0, HOLDERS_TOLD_MAX).map((wait) => this.#lockWait(wait));
    return { lock: this.#lockStatus(view), queue, waits, deadlock };
  }

  #sessions(after: number): ListSessionsResponse {
    const { leases, isConnected, holderOf } = this.#options;
    const identityOf = (holder: Caller | undefined): string => (holder === undefined ? "" : identityText(holder));
    const views = this.#core.sessions().filter(({ session }) => session > after);
    const all = views.map(({ session, description, ttlMs, owners, objects, holds, waiting }) => ({
      ...{ session, description, ttlMs, owners, objects, waiting },
      leftMs: Math.round(leases.leftMs(session) ?? 0),
      connected: isConnected(session),
      held: holds,
      identity: identityOf(holderOf(session)),
    }));
    const { items, more } = page(all, SessionStatus);
    return { sessions: items, more };
  }

  #break(name: string, fullReason: string, { role, name: who }: Caller): BreakLockResponse {
    const { replica, log } = this.#options;
    const reason = fullReason.slice(0, DESCRIPTION_LENGTH_MAX);
    const view = this.#find(name);
    if (replica.isFull) throw fullError("a lock cannot be broken");
    const broken = this.#lockStatus(view).holders;
    replica.apply({ type: "lock-broken", object: view.object, reason });
    log.info("a lock was broken", { object: view.object, held: view.holders.length, role, name: who, reason });
    return { broken };
  }

  #find(name: string): LockView {
    return found(
      name,
      "lock",
      (ref) => this.#core.lock(ref),
      () => this.#core.locks(),
    );
  }

  get #core(): Replica["core"] {
    return this.#options.replica.core;
  }

  #lockStatus(view: LockView): LockStatus {
    return {
      object: view.object,
      kind: view.kind,
      holders: view.holders.slice(0, HOLDERS_TOLD_MAX).map((holder) => this.#holder(holder)),
      held: view.holders.length,
      waiting: view.line.length,
      free: view.free ?? 0,
      brokenReason: view.brokenReason ?? "",
    };
  }

  #holder({ session, owner, token, permits }: HolderView): LockHolder {
    return {
      session,
      owner,
      token,
      permits,
      heldMs: this.#agoMs(token),
      description: this.#description(session, owner),
    };
  }

  #lockWait({ session, owner, lock, holder }: WaitView): LockWait {
    return {
      ...{ session, owner, lock, holderSession: holder.session, holderOwner: holder.owner },
      description: this.#description(session, owner),
      holderDescription: this.#description(holder.session, holder.owner),
    };
  }

  #agoMs(revision: number): number {
    const { clock, replica } = this.#options;
    return Math.max(0, Math.round(clock.nowMs() - replica.moments.of(revision)));
  }

  #description(session: SessionNumber | undefined, owner = 0): string {
    if (session === undefined) return "";
    const whole = this.#core.session(session)?.description ?? "";
    const part = this.#options.ownerDescription(session, owner);
    return part === "" ? whole : `${part} of ${whole}`;
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

/** Those behind `after`, in order of their ids. */
function behind<T extends { readonly object: string }>(all: readonly T[], after: string): T[] {
  return all.filter(({ object }) => object > after).sort((a, b) => (a.object < b.object ? -1 : 1));
}

/** The first ones, as many as fit into one answer. */
function page<T>(
  all: readonly T[],
  message: { encode(item: T): { finish(): Uint8Array } },
): { items: T[]; more: boolean } {
  let bytes = 0;
  let count = 0;
  for (const item of all.slice(0, PAGE_ITEMS_MAX)) {
    bytes += message.encode(item).finish().length;
    if (count > 0 && bytes > PAGE_BYTES_MAX) break;
    count++;
  }
  return { items: all.slice(0, count), more: count < all.length };
}

/** The one that a name means: an id, a name with or without its "@", or the beginning of an id. Throws NotFoundError. */
function found<T extends { readonly object: string }>(
  name: string,
  what: string,
  get: (ref: string) => T | undefined,
  list: () => readonly T[],
): T {
  const exact = get(name) ?? get(`@${name}`);
  if (exact !== undefined) return exact;
  const begun = /^[0-9a-f]+$/.test(name) ? list().filter(({ object }) => object.startsWith(name)) : [];
  const [only] = begun;
  if (only !== undefined && begun.length === 1) return only;
  const shown = JSON.stringify(name.slice(0, 100));
  if (begun.length > 1) throw new NotFoundError(`${shown} is the beginning of the ids of ${begun.length} ${what}s`);
  throw new NotFoundError(`there is no ${what} ${shown}`);
}

/** What these wait for themselves, what the holders of that wait for, and so on: the first ones. */
function waitsFrom(holders: readonly HolderView[], all: readonly WaitView[]): WaitView[] {
  const waits: WaitView[] = [];
  const seen = new Set<string>();
  const next = holders.map(({ session, owner }) => ({ session, owner }));
  for (let who = next.shift(); who !== undefined && waits.length < HOLDERS_TOLD_MAX; who = next.shift()) {
    const { session, owner } = who;
    if (seen.has(`${session} ${owner}`)) continue;
    seen.add(`${session} ${owner}`);
    for (const wait of all) {
      if (wait.session !== session || wait.owner !== owner) continue;
      waits.push(wait);
      next.push(wait.holder);
    }
  }
  return waits.slice(0, HOLDERS_TOLD_MAX);
}
