import { type Environment, heddleError } from "@heddle/kernel";
import { type ObjectsState, ObjectsState_State, type Revoked } from "@heddle/wire";
import type { ObjectsTransport, OutgoingOperations, TransportListener } from "./transport.ts";

/** A worker's way to its agent, as far as shared objects are concerned. */
export interface ObjectsPipe {
  /** Operations, in order; with none the agent says how its session stands, and opens one where there is none. */
  readonly operate: (operations: OutgoingOperations) => void;
  /** Who hears what concerns an owner: of replies, and of the agent's session. */
  readonly listen: (
    owner: number,
    listener: {
      readonly replies: (batch: Uint8Array) => void;
      readonly state: (state: ObjectsState) => void;
      readonly revoked: (revoked: Revoked) => void;
    },
  ) => void;
  /** The owner is over: what it holds is free. */
  readonly closeOwner: (owner: number) => void;
}

const NO_BYTES = new Uint8Array(0);

/** Inside a worker: the agent has the session, with this as one of its owners, and keeps its lease. */
export class PipeTransport implements ObjectsTransport {
  readonly address = "the worker's agent";
  readonly isCertain = true;
  readonly #pipe: ObjectsPipe;
  readonly #owner: number;
  readonly #env: Pick<Environment, "clock">;
  #listener: TransportListener | undefined;
  #isOpen = false;

  /** `owner`: the worker's number of it, used once. */
  constructor(pipe: ObjectsPipe, owner: number, env: Pick<Environment, "clock">) {
    this.#pipe = pipe;
    this.#owner = owner;
    this.#env = env;
  }

  open(listener: TransportListener): void {
    if (this.#listener !== undefined) return;
    this.#listener = listener;
    this.#pipe.listen(this.#owner, {
      replies: (batch) => {
        if (this.#isOpen) this.#listener?.replies(0, batch);
      },
      state: (state) => this.#stands(state),
      revoked: (revoked) => {
        if (this.#isOpen) this.#listener?.revoked({ ...revoked, owner: 0 });
      },
    });
    this.#pipe.operate({ owner: this.#owner, acknowledged: [], batch: NO_BYTES, count: 0 });
  }

  send({ acknowledged, batch, count }: OutgoingOperations): void {
    if (this.#isOpen) this.#pipe.operate({ owner: this.#owner, acknowledged, batch, count });
  }

  /** The session is the agent's: only this owner's part in it ends. */
  close(): Promise<void> {
    this.#over();
    this.#pipe.closeOwner(this.#owner);
    return Promise.resolve();
  }

  #over(): void {
    this.#listener = undefined;
    this.#isOpen = false;
  }

  #stands({ state, session, ttlMs, code, message }: ObjectsState): void {
    const listener = this.#listener;
    if (listener === undefined) return;
    switch (state) {
      case ObjectsState_State.OPEN:
        this.#isOpen = true;
        listener.linked(true, "");
        return listener.opened({ session, nonce: "", ttlMs, sinceMs: this.#env.clock.nowMs(), addresses: [] });
      case ObjectsState_State.LOST:
        return listener.lost(message);
      case ObjectsState_State.ENDED:
        this.#over();
        return session === 0 ? listener.failed(heddleError(code, message)) : listener.ended({ code, message });
      default:
        return; // of a newer agent
    }
  }
}
