import type { Environment, JobId } from "@heddle/kernel";
import { encodeValue } from "@heddle/wire";
import { KEPT_CLOSINGS_MAX } from "./limits.ts";
import { ManagerErrands, type ManagerErrandsOptions } from "./manager-errands.ts";

/** What settling jobs at the manager needs. */
export interface KeptCloserOptions extends ManagerErrandsOptions {
  /** A job was closed there. */
  readonly closed: () => void;
}

/**
 * Speaks to the manager for kept jobs whose items' writes count once, as their caller: closes them when they are over, else it would know them for ever, as they outlive who opened them; and writes off items
 * that are answered by an error. Goes on until the manager has answered, however long that is away. A job that is closed there, or was never open, is closed by that too.
 */
export class KeptCloser {
  readonly #errands: ManagerErrands;
  readonly #env: Environment;
  readonly #closed: () => void;
  /** Those that are to be closed, or that the manager is asked to close now. */
  readonly #closing = new Set<JobId>();

  constructor(options: KeptCloserOptions) {
    this.#errands = new ManagerErrands(options);
    this.#env = options.env;
    this.#closed = options.closed;
  }

  /** The job is over: nothing of it is to count any more. Nothing above KEPT_CLOSINGS_MAX. */
  close(id: JobId): void {
    if (this.#closing.size >= KEPT_CLOSINGS_MAX && !this.#closing.has(id))
      return this.#env.log.warn("a job stays open at the manager: too many are to be closed there", { job: id });
    this.#closing.add(id);
    const name = closingOf(id);
    const over = (): void => {
      if (this.#errands.has(name)) return; // it was opened again meanwhile
      this.#closing.delete(id);
      this.#closed();
    };
    this.#errands.add(name, {
      request: { verb: "effects-close", object: "", values: [encodeValue(id, "value")] },
      answered: over,
      refused: over,
    });
  }

  /** The manager may know it as open still. */
  isClosing(id: JobId): boolean {
    return this.#closing.has(id);
  }

  /**
   * An item of the job is answered by an error: no run of it comes to count any more. Told what it has come to, encoded, where one does already; undefined also where the manager knows the job no more,
   * or has no room for that, so that nobody can tell. Not when it is disposed of before.
   */
  writeOff(id: JobId, index: number, told: (outcome: Uint8Array | undefined) => void): Disposable {
    const name = `write off ${index} of ${id}`;
    this.#errands.add(name, {
      request: {
        ...{ verb: "effects-commit", object: "", numbers: [index, 0] },
        values: [encodeValue(id, "value"), WRITTEN_OFF],
      },
      answered: ({ numbers: [isNew], values: [outcome] }) =>
        told(isNew === 0 && outcome?.length !== 0 ? outcome : undefined),
      refused: ({ message }) => {
        this.#env.log.warn("an item is answered by an error and not written off", { job: id, index, message });
        told(undefined);
      },
    });
    return { [Symbol.dispose]: () => this.#errands.drop(name) };
  }

  /** Nothing is asked any more: the coordinator ends. */
  stop(): Promise<void> {
    return this.#errands.stop();
  }
}

function closingOf(id: JobId): string {
  return `close ${id}`;
}

/** In the place of an outcome: the item was answered by an error. */
const WRITTEN_OFF = new Uint8Array();
