import {
  Fabric,
  type FabricOptions,
  FabricPool,
  type FabricProcess,
  type PoolHost,
  type PoolSettings,
  type ProcessFamily,
} from "@heddle/client";
import { ClosedError } from "@heddle/kernel";

/**
 * A handle, made by `connect()` in a task, of the fabric that the task's worker belongs to. A worker has one session with it, which all
 * its handles and pools share and which ends with the worker: closing a handle terminates its own pools and processes and no others.
 */
export class NestedFabric extends Fabric {
  readonly #shared: Fabric;
  /** Made of this handle and not terminated yet. */
  readonly #pools = new Set<FabricPool>();
  /** Made of this handle. */
  readonly #processes = new WeakSet<FabricProcess>();
  readonly #family: ProcessFamily;
  #isClosed = false;

  /** `shared`: has the session. `family`: this process and what it has started. */
  constructor(options: FabricOptions, shared: Fabric, family: ProcessFamily) {
    super(options);
    this.#family = family;
    this.#shared = shared;
  }

  override get host(): PoolHost {
    const { host } = this.#shared;
    const connection: PoolHost["connection"] = (settings) => {
      if (this.#isClosed) throw new ClosedError("the fabric was closed");
      return host.connection(settings);
    };
    return { ...host, connection };
  }

  override pool(settings: PoolSettings = {}): FabricPool {
    return new NestedPool(this.host, settings, this);
  }

  override ready(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    return this.#shared.ready(options);
  }

  /** What is open fails with PoolTerminatedError. Idempotent. */
  override async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#pools].map((pool) => pool.terminate()));
    await Promise.all(this.#family.active.map((child) => (this.#processes.has(child) ? child.terminate() : undefined)));
    await super.close();
  }

  /** A process of this handle: it ends with it. */
  keepProcess(process: FabricProcess): void {
    this.#processes.add(process);
  }

  /** A pool of this handle: it is terminated with it. */
  keep(pool: FabricPool): void {
    this.#pools.add(pool);
  }

  /** The pool is over. */
  forget(pool: FabricPool): void {
    this.#pools.delete(pool);
  }
}

/** A pool that ends with the handle it was made of, if it was. */
export class NestedPool extends FabricPool {
  readonly #fabric: NestedFabric | undefined;

  constructor(host: PoolHost, settings: PoolSettings, fabric: Fabric | undefined) {
    super(host, settings);
    this.#fabric = fabric instanceof NestedFabric ? fabric : undefined;
    this.#fabric?.keep(this);
  }

  override terminate(): Promise<void> {
    this.#fabric?.forget(this);
    return super.terminate();
  }
}
