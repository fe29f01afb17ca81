import {
  LeaseWatch,
  ManagerStream,
  managerOf,
  OBJECTS_TTL_MS,
  type ObjectsEnd,
  type RevokedHold,
  streamLeases,
} from "@heddle/client";
import type { WorkerKey } from "@heddle/core-pool";
import { type Environment, HeddleError, ProtocolError } from "@heddle/kernel";
import type { LeaseKeeper, LeaseTerms, Version } from "@heddle/port-rpc";
import {
  flowBytes,
  flowOf,
  type ObjectsState,
  ObjectsState_State,
  type Operations,
  type PayloadInflow,
  type PayloadOutflow,
  type WorkerRequestEntry,
  whenEnded,
} from "@heddle/wire";
import type { AgentOptions } from "./agent.ts";
import { WORKER_OWNERS_MAX } from "./limits.ts";
import type { WorkerRecord } from "./records.ts";

/** A worker as far as shared objects are concerned. */
export interface OwningWorker {
  readonly key: WorkerKey;
  /** Of the process. */
  readonly pid: number;
  readonly inflow: PayloadInflow;
  readonly outflow: PayloadOutflow;
  /** Sends to the process. */
  readonly send: (entry: WorkerRequestEntry) => void;
}

/** What the relay needs of the world. */
export interface ObjectRelayOptions {
  readonly env: Environment;
  readonly transport: Pick<ManagerStream, "open" | "send" | "describeOwner" | "closeOwner" | "close">;
  readonly leases: LeaseKeeper;
}

/** An owner in the session: a worker, or a session that code in a worker has opened by itself. */
interface Owner {
  /** Its number in the session, never used again there. */
  readonly number: number;
  /** The worker's own number of it. */
  readonly own: number;
  readonly worker: OwningWorker;
}

/**
 * The session that this node has with the manager, for all its workers: each is an owner in it. The agent keeps the lease, so that a worker that computes for long
 * loses nothing, and says at once when one is gone, so that nobody waits for what it held.
 */
export class ObjectRelay {
  readonly #transport: ObjectRelayOptions["transport"];
  readonly #leases: LeaseWatch;
  /** By worker, then by the worker's own number. */
  readonly #owners = new Map<WorkerKey, Map<number, Owner>>();
  readonly #byNumber = new Map<number, Owner>();
  #terms: LeaseTerms | undefined;
  /** There is a stream on which the session is open. */
  #isOpen = false;
  #lastOwner = 0;

  constructor({ env, transport, leases }: ObjectRelayOptions) {
    this.#transport = transport;
    this.#leases = new LeaseWatch({
      clock: env.clock,
      keeper: leases,
      changed: (loss) => {
        if (loss?.type === "late")
          this.#tellAll(stateOf(ObjectsState_State.LOST, this.#terms, { message: loss.reason }));
        else if (loss === undefined && this.#isOpen) this.#tellAll(stateOf(ObjectsState_State.OPEN, this.#terms));
      },
      over: () => {
        // its stream may not have heard of it: whoever asks next must not hear the end of this session as that of theirs
        void this.#transport.close();
        this.#ended({ code: "expired", message: "the manager does not know this node's session any more" });
      },
    });
  }

  /** What a worker says, in order. Its first words open the session. Throws ProtocolError for what no worker may say. */
  operate(worker: OwningWorker, { owner: own, batch, acknowledged }: Operations): void {
    if (batch === undefined) throw new ProtocolError("operations came without their batch");
    const flow = worker.inflow.open(batch, true);
    if (batch.count === 0) return this.#ask(worker, own);
    const owner = this.#owners.get(worker.key)?.get(own);
    whenEnded([flow], (aborted) => {
      // said in a session that is over: the worker hears so, if it has not
      if (aborted || owner === undefined || this.#byNumber.get(owner.number) !== owner) return;
      this.#transport.send({ owner: owner.number, acknowledged, batch: flowBytes(flow), count: batch.count });
    });
  }

  /** An owner of the worker is over: what it held is free. */
  closed(key: WorkerKey, own: number): void {
    const owner = this.#owners.get(key)?.get(own);
    if (owner === undefined) return;
    this.#owners.get(key)?.delete(own);
    this.#close(owner);
  }

  /** The worker is gone: what it held is free. */
  gone(key: WorkerKey): void {
    const owners = this.#owners.get(key);
    this.#owners.delete(key);
    for (const owner of owners?.values() ?? []) this.#close(owner);
  }

  /** The node is over, and with it the session. */
  async close(): Promise<void> {
    this.#ended({ code: "closed", message: "the node is over" });
    await this.#transport.close();
  }

  #close({ number }: Owner): void {
    this.#byNumber.delete(number);
    this.#transport.closeOwner(number);
  }

  /** The worker wants to know how the session stands. */
  #ask(worker: OwningWorker, own: number): void {
    const owners = this.#owners.get(worker.key) ?? new Map<number, Owner>();
    this.#owners.set(worker.key, owners);
    const known = owners.get(own);
    if (known === undefined && owners.size >= WORKER_OWNERS_MAX)
      throw new ProtocolError(`a worker has more than ${WORKER_OWNERS_MAX} sessions with the manager at a time`);
    const owner = known ?? { number: ++this.#lastOwner, own, worker };
    owners.set(own, owner);
    this.#byNumber.set(owner.number, owner);
    if (this.#isOpen) tell(worker, stateOf(ObjectsState_State.OPEN, this.#terms));
    else this.#open();
    if (known === undefined) this.#transport.describeOwner(owner.number, `worker pid ${worker.pid}`);
  }

  #open(): void {
    this.#transport.open({
      opened: (terms) => this.#opened(terms),
      interrupted: () => {
        this.#isOpen = false;
      },
      linked: () => undefined,
      replies: (owner, replies) => this.#replies(owner, replies),
      revoked: (revoked) => this.#revoked(revoked),
      lost: () => undefined, // said by agents: this one keeps the lease itself
      ended: (end) => this.#ended(end),
      failed: (error) => {
        const code = error instanceof HeddleError ? error.code : "internal";
        this.#over(stateOf(ObjectsState_State.ENDED, undefined, { code, message: error.message }));
      },
    });
  }

  #opened(terms: LeaseTerms): void {
    this.#terms = terms;
    this.#isOpen = false; // what the lease says of it is part of what is told next
    this.#leases.opened(terms);
    this.#isOpen = true;
    this.#tellAll(stateOf(ObjectsState_State.OPEN, terms));
  }

  #replies(number: number, replies: Uint8Array): void {
    const owner = this.#byNumber.get(number);
    if (owner === undefined) return; // it is gone
    const { worker, own } = owner;
    const outgoing = worker.outflow.send(flowOf({ encoding: 0, count: 0, bytes: replies }));
    worker.send({ kind: { $case: "objectReplies", value: { owner: own, batch: outgoing.header } } });
    outgoing.start();
  }

  #revoked({ owner: number, object, token, reason }: RevokedHold): void {
    const owner = this.#byNumber.get(number);
    const value = { owner: owner?.own ?? 0, object, token, reason };
    owner?.worker.send({ kind: { $case: "objectRevoked", value } });
  }

  #ended({ code, message }: ObjectsEnd): void {
    this.#leases.ended(message);
    this.#over(stateOf(ObjectsState_State.ENDED, this.#terms, { code, message }));
  }

  /** Whoever asks next begins another session. */
  #over(state: ObjectsState): void {
    this.#isOpen = false;
    this.#terms = undefined;
    this.#tellAll(state);
    this.#owners.clear();
    this.#byNumber.clear();
  }

  #tellAll(state: ObjectsState): void {
    const workers = new Map([...this.#byNumber.values()].map(({ worker }) => [worker.key, worker]));
    for (const worker of workers.values()) tell(worker, state);
  }
}

/** The relay of an agent; `coordinator` is where the agent's coordinator is now. */
export function objectRelay(options: AgentOptions, version: Version, coordinator: () => string): ObjectRelay {
  const { env, client, addresses, name, host, pid, managerLeases } = options;
  return new ObjectRelay({
    env,
    transport: new ManagerStream({
      ...{ env, client, version, address: addresses.join(","), ttlMs: OBJECTS_TTL_MS },
      description: `agent ${name}@${host} pid ${pid}`,
      locate: () => managerOf(client, coordinator())(),
    }),
    leases: managerLeases ?? streamLeases(env, client),
  });
}

/** A worker as the relay sees it. */
export function owningWorker({ key, process, inflow, outflow }: WorkerRecord): OwningWorker {
  return { key, pid: process.pid, inflow, outflow, send: (entry) => process.send(entry) };
}

function tell(worker: OwningWorker, state: ObjectsState): void {
  worker.send({ kind: { $case: "objectsState", value: state } });
}

function stateOf(
  state: ObjectsState["state"],
  terms: LeaseTerms | undefined,
  { code = "", message = "" }: { readonly code?: string; readonly message?: string } = {},
): ObjectsState {
  return { state, session: terms?.session ?? 0, ttlMs: terms?.ttlMs ?? 0, code, message };
}
