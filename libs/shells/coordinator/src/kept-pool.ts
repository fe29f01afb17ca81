import type { ClientKey } from "@heddle/core-scheduler";
import { ArtifactHash, ClientId, mintId } from "@heddle/kernel";
import type { Goodbye } from "@heddle/port-rpc";
import { type FabricError, flowOf, OpenPool, PayloadInflow, PayloadOutflow, type RunRequestEntry } from "@heddle/wire";
import { type ClientHost, takeClientEntry } from "./client-entries.ts";
import type { Office } from "./desk.ts";
import type { KeptSpec } from "./kept-records.ts";
import { type KeptRunEars, KeptSession } from "./kept-session.ts";
import type { ClientRecord } from "./ledger.ts";
import { fabricError } from "./results.ts";

/** What a pool of kept jobs needs. */
export interface KeptPoolOptions {
  readonly office: Office;
  /** Where clients are served: the pool is one's. */
  readonly host: ClientHost;
  /** No run uses it, for now. */
  readonly idle: (pool: KeptPool) => void;
  /** It was refused for what it said: no other run may use it. */
  readonly refused: (pool: KeptPool) => void;
}

/** A kept job that runs in a pool. */
export interface KeptPoolRun extends KeptRunEars {
  /** Bytes of its answers that wait for the disk. */
  readonly queuedBytes: number;
  /** Code of its job; undefined when it cannot be read, of which the run dies. */
  code(hash: string): Promise<Uint8Array | undefined>;
  /** It cannot go on. */
  fail(error: FabricError): void;
}

/**
 * A pool of the coordinator itself as a client: in it run the kept jobs that one client has submitted in one of its pools, and share its workers. Each has a number of its own on the one session.
 */
export class KeptPool {
  /** What the first of its jobs was opened with. */
  readonly spec: KeptSpec;
  /** Whose pool it stands for. */
  readonly owner: ClientId;
  /** The coordinator's own. */
  readonly client: ClientRecord;
  readonly #options: KeptPoolOptions;
  readonly #session: KeptSession;
  readonly #runs = new Map<number, KeptPoolRun>();
  /** Who has code that was offered. */
  readonly #code = new Map<string, Set<KeptPoolRun>>();
  /** Code that was asked for and not given. */
  readonly #wanted = new Set<string>();
  /** Code that is being read. */
  readonly #giving = new Set<string>();
  #lastNumber = 0;
  #isOver = false;

  /** Throws ProtocolError or InvalidArgumentError for a pool that cannot be opened. */
  constructor(options: KeptPoolOptions, spec: KeptSpec) {
    this.#options = options;
    this.spec = spec;
    this.owner = ClientId(spec.clientId);
    this.#session = new KeptSession({
      earsOf: (job) => this.#runs.get(job),
      wantArtifact: (hash) => {
        this.#wanted.add(hash);
        void this.#give(hash);
      },
      closed: (goodbye) => this.#closed(goodbye),
      queuedBytes: () => this.#queuedBytes,
    });
    this.client = coordinatorClient(options.office, spec, this.#session);
    const { feed } = options.office;
    feed({ type: "client-joined", client: this.client.key });
    try {
      this.say({ $case: "openPool", value: spec.pool });
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Whether it is just such a pool. */
  fits(pool: OpenPool): boolean {
    if (pool === this.spec.pool) return true;
    const [own, other] = [OpenPool.encode(this.spec.pool).finish(), OpenPool.encode(pool).finish()];
    return own.length === other.length && own.every((byte, at) => byte === other[at]);
  }

  /** No run uses it. */
  get isIdle(): boolean {
    return this.#runs.size === 0;
  }

  /** A run uses it; gives it a number. */
  add(run: KeptPoolRun): number {
    const number = ++this.#lastNumber;
    this.#runs.set(number, run);
    return number;
  }

  /** A run that uses it has this code. Throws ProtocolError for too much of it. */
  offerCode(run: KeptPoolRun, code: Iterable<string>): void {
    for (const hash of code) {
      const owners = this.#code.get(hash) ?? new Set();
      this.#code.set(hash, owners);
      owners.add(run);
      if (owners.size === 1) this.say({ $case: "offerArtifact", value: { hash, size: 0 } });
      else if (this.#wanted.has(hash)) void this.#give(hash);
    }
  }

  /** A run uses it no more. */
  remove(number: number): void {
    const run = this.#runs.get(number);
    if (run === undefined) return;
    this.#runs.delete(number);
    for (const [hash, owners] of this.#code) {
      if (!owners.delete(run) || owners.size > 0) continue;
      this.#code.delete(hash);
      this.#wanted.delete(hash);
      this.say({ $case: "withdrawArtifact", value: { hash } });
    }
    this.progressed();
    if (this.isIdle) this.#options.idle(this);
  }

  /** As any client does. Throws ProtocolError for what none may say. */
  say(kind: NonNullable<RunRequestEntry["kind"]>): void {
    takeClientEntry(this.#options.host, this.client, { kind });
  }

  /** Of what waits for the disk some may be there. */
  progressed(): void {
    this.#session.progressed();
  }

  /** Its workers go. */
  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#session.end();
    const { office } = this.#options;
    office.feed({ type: "client-left", client: this.client.key });
    office.artifacts.left(this.client);
  }

  /** Nothing is heard any more: the coordinator ends. */
  freeze(): void {
    this.#isOver = true;
    this.#session.end();
  }

  get #queuedBytes(): number {
    let bytes = 0;
    for (const { queuedBytes } of this.#runs.values()) bytes += Math.max(0, queuedBytes);
    return bytes;
  }

  /** Gives code that was asked for, from whichever run has it whole. */
  async #give(hash: string): Promise<void> {
    if (this.#giving.has(hash)) return;
    this.#giving.add(hash);
    const asked = new Set<KeptPoolRun>();
    for (;;) {
      const run = this.#code
        .get(hash)
        ?.values()
        .find((one) => !asked.has(one));
      if (run === undefined || this.#isOver) break;
      asked.add(run);
      const bytes = await run.code(hash);
      if (bytes === undefined || this.#isOver) continue;
      this.#wanted.delete(hash);
      const content = flowOf({ encoding: 0, count: 0, bytes });
      this.#options.host.storeArtifact(this.client, ArtifactHash(hash), content);
      break;
    }
    this.#giving.delete(hash);
  }

  #closed(goodbye: Goodbye | undefined): void {
    this.#options.refused(this);
    const message = goodbye?.message ?? "the coordinator gave the job up";
    for (const run of [...this.#runs.values()]) run.fail(fabricError("internal", message));
  }
}

/** The coordinator as a client, for as long as one of its pools. */
function coordinatorClient({ env, ledger }: Office, spec: KeptSpec, session: KeptSession): ClientRecord {
  const { caller, description } = spec;
  return {
    key: ledger.mintKey() as ClientKey,
    id: ClientId(mintId(env.random)),
    caller,
    session,
    inflow: new PayloadInflow(),
    outflow: new PayloadOutflow((part) => session.send({ kind: { $case: "part", value: part } })),
    description,
    pools: new Map(),
    jobs: new Map(),
    outlets: new Map(),
    kept: new Map(),
    isCoordinator: true,
    artifacts: new Set(),
    heldChunks: 0,
    heldBytes: 0,
    throttled: false,
    relayedBytes: 0,
    directBytes: 0,
    droppedLines: 0,
  };
}
