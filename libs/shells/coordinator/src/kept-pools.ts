import { PoolId } from "@heddle/kernel";
import { type Caller, callerText, isSameCaller } from "@heddle/port-rpc";
import { KeptPool, type KeptPoolOptions } from "./kept-pool.ts";
import type { KeptSpec } from "./kept-records.ts";
import type { PoolRecord } from "./ledger.ts";

/** What pools of kept jobs need. */
export type KeptPoolsOptions = Pick<KeptPoolOptions, "office" | "host">;

/**
 * The pools in which kept jobs run: one for all that one client has submitted in one of its pools. It is there as long as any of them runs, and as long as its client has that pool open: then the next one
 * finds its workers. Who comes back after a restart, with the same ids, has that of the jobs that were found.
 */
export class KeptPools {
  readonly #options: KeptPoolOptions;
  /** By whose they are. */
  readonly #pools = new Map<string, KeptPool>();
  /** Those that take no more jobs: closed with their last run. */
  readonly #others = new Set<KeptPool>();

  constructor(options: KeptPoolsOptions) {
    const leave = (pool: KeptPool): void => {
      this.#forget(pool);
      this.#others.add(pool);
      this.#look(pool);
    };
    this.#options = { ...options, idle: (pool) => this.#look(pool), refused: leave };
  }

  /** Input bytes that are in memory for all of them. */
  get heldBytes(): number {
    let bytes = 0;
    for (const { client } of this.#pools.values()) bytes += client.heldBytes;
    for (const { client } of this.#others) bytes += client.heldBytes;
    return bytes;
  }

  /** Where a job runs; to be used at once. One of the same ids that is not just such a pool takes no more jobs. Throws ProtocolError or InvalidArgumentError for one that cannot be opened. */
  of(spec: KeptSpec): KeptPool {
    const key = keyOf(spec.clientId, spec.pool.poolId, spec.caller);
    const known = this.#pools.get(key);
    if (known?.fits(spec.pool)) return known;
    const pool = new KeptPool(this.#options, spec);
    if (known !== undefined) this.#others.add(known);
    this.#pools.set(key, pool);
    return pool;
  }

  /** Its client has closed it, or is gone. */
  closed({ client, id }: PoolRecord): void {
    const pool = this.#pools.get(keyOf(client.id, id, client.caller));
    if (pool !== undefined) this.#look(pool);
  }

  /** Nothing is heard any more: the coordinator ends. */
  freeze(): void {
    for (const pool of this.#pools.values()) pool.freeze();
    for (const pool of this.#others) pool.freeze();
  }

  #look(pool: KeptPool): void {
    if (!pool.isIdle || this.#isWanted(pool)) return;
    this.#forget(pool);
    this.#others.delete(pool);
    pool.close();
  }

  /** Whether its client has it open. */
  #isWanted(pool: KeptPool): boolean {
    if (this.#others.has(pool)) return false;
    const { caller, pool: opened } = pool.spec;
    const owner = this.#options.office.ledger.clientsById.get(pool.owner);
    if (owner === undefined || !isSameCaller(owner.caller, caller)) return false;
    const own = owner.pools.get(PoolId(opened.poolId));
    return own !== undefined && pool.fits(own.opened);
  }

  #forget(pool: KeptPool): void {
    const { clientId, caller, pool: opened } = pool.spec;
    const key = keyOf(clientId, opened.poolId, caller);
    if (this.#pools.get(key) === pool) this.#pools.delete(key);
  }
}

/** Nobody runs jobs in the pool of somebody else. */
function keyOf(client: string, pool: string, caller: Caller): string {
  return `${client} ${pool} ${callerText(caller)}`;
}
