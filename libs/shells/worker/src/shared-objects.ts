import type { ObjectsState, Operations, Replies, SharedDescription, WorkerResponseEntry } from "@heddle/wire";
import { MissingPart } from "./missing.ts";

/** What the agent says of shared objects. */
export type ObjectsEntry =
  | { readonly $case: "objectReplies"; readonly value: Replies }
  | { readonly $case: "objectsState"; readonly value: ObjectsState };

/** Who makes use of the way to the manager: `heddle` as user code in this worker sees it. */
export interface ObjectsListener {
  readonly replies: (replies: Replies) => void;
  readonly state: (state: ObjectsState) => void;
}

/** What `heddle` inside the worker does for the worker, once it is loaded. */
export interface InsideObjects {
  /** A live handle. */
  readonly revive: (description: SharedDescription) => object;
  /**
   * Undefined when nothing that was asked of the manager is under way. Else resolves when all of it is done; rejects with the first error of a write
   * that nobody awaited.
   */
  readonly flush: () => Promise<void> | undefined;
}

/** Shared objects as this worker meets them: its way to the manager through the agent, and handles among values. */
export class SharedObjects {
  readonly #send: (entry: WorkerResponseEntry) => void;
  readonly #load: () => Promise<unknown>;
  #inside: InsideObjects | undefined;
  #listener: ObjectsListener | undefined;

  /** `send`: to the agent. `load`: makes `heddle` call `provide`. */
  constructor(send: (entry: WorkerResponseEntry) => void, load: () => Promise<unknown>) {
    this.#send = send;
    this.#load = load;
  }

  readonly provide = (inside: InsideObjects): void => {
    this.#inside = inside;
  };

  /** Operations for the manager; what comes of them goes to the listener. */
  readonly operate = (operations: Operations): void => {
    this.#send({ kind: { $case: "objectOperations", value: operations } });
  };

  readonly listen = (listener: ObjectsListener): void => {
    this.#listener = listener;
  };

  hear(entry: ObjectsEntry): void {
    if (entry.$case === "objectReplies") this.#listener?.replies(entry.value);
    else this.#listener?.state(entry.value);
  }

  /** Makes a handle; throws MissingPart while `heddle` is not loaded. */
  readonly revive = (description: SharedDescription): object => {
    if (this.#inside === undefined) throw new MissingPart();
    return this.#inside.revive(description);
  };

  /** Loads `heddle` so that `revive` can do its work. */
  async load(): Promise<void> {
    if (this.#inside === undefined) await this.#load();
  }

  /** As InsideObjects.flush. */
  flush(): Promise<void> | undefined {
    return this.#inside?.flush();
  }
}
