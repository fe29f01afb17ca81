import { LimitError } from "@heddle/kernel";
import { decodeValue, type VerbName } from "@heddle/wire";
import { TRANSACTION_OPERATIONS_MAX } from "../limits.ts";
import type { OperationReply, OperationRequest } from "./channel.ts";
import type { ObjectsHome } from "./home.ts";
import type { SharedObject } from "./shared-object.ts";

type Expectation = NonNullable<OperationRequest["expectations"]>[number];

/** One write, in the making. */
interface Write {
  readonly verb: VerbName;
  readonly object: string;
  readonly values: Uint8Array[];
  readonly numbers: readonly number[];
}

/** The whole object, among expectations. */
const WHOLE = new Uint8Array();

/** What one run of a transaction has read, and what it is to write. */
export class TransactionLog {
  readonly home: ObjectsHome;
  readonly #expectations: Expectation[] = [];
  readonly #writes: Write[] = [];
  readonly #objects = new Map<string, SharedObject>();

  constructor(home: ObjectsHome) {
    this.home = home;
  }

  /** It takes part in the transaction. */
  add(object: SharedObject): void {
    this.#objects.set(object.id, object);
  }

  /** Ids of all that take part, in order. */
  get objects(): readonly string[] {
    return [...this.#objects.keys()].sort();
  }

  /** Reads; nothing of it may change until the transaction is done: all of the object, or one key of a dict. */
  async read(
    object: SharedObject,
    verb: VerbName,
    { key, numbers = [] }: { readonly key?: Uint8Array; readonly numbers?: readonly number[] } = {},
  ): Promise<OperationReply> {
    if (!object.isCreated) await object.created;
    const values = key === undefined ? [] : [key];
    const reply = await this.home.call({ verb, object: object.id, values, numbers, handle: object }, whole);
    this.#expectations.push({ object: object.id, key: key ?? WHOLE, revision: reply.revision });
    return reply;
  }

  /** Writes at the end. `merged`: what follows a write of the same kind on the same object goes with it, and "replace" takes its place. */
  write(object: SharedObject, verb: VerbName, { values = [], numbers = [], merged }: WriteOptions = {}): void {
    const last = this.#writes.at(-1);
    if (merged !== undefined && last?.verb === verb && last.object === object.id) {
      if (merged === "replace") last.values.length = 0;
      last.values.push(...values);
    } else this.#writes.push({ verb, object: object.id, values: [...values], numbers });
  }

  /** Resolves when all that take part are known to the manager. Throws LimitError for too many reads or writes. */
  async prepare(): Promise<void> {
    const count = Math.max(this.#writes.length, this.#expectations.length);
    if (count > TRANSACTION_OPERATIONS_MAX) {
      const message = `a transaction reads and writes ${TRANSACTION_OPERATIONS_MAX} times at most, this one does ${count}: read objects as a whole, or make it several`;
      throw new LimitError("TRANSACTION_OPERATIONS_MAX", TRANSACTION_OPERATIONS_MAX, count, message);
    }
    await Promise.all([...this.#objects.values()].map((object) => object.created));
  }

  /** Does all writes, or none of them: ConflictError when something that was read has changed, the error of a write that cannot be done. */
  async commit(): Promise<void> {
    if (this.#writes.length === 0) await this.check();
    else await this.#send(this.#writes);
  }

  /** Rejects with ConflictError when something that was read has changed. A single read was so at one moment, whatever came later. */
  async check(): Promise<void> {
    if (this.#expectations.length > 1) await this.#send([]);
  }

  /** A value without live handles, for comparing: as the manager sees it. */
  plain(bytes: Uint8Array): unknown {
    return decodeValue(bytes);
  }

  #send(operations: readonly Write[]): Promise<OperationReply> {
    const expectations = this.#expectations;
    return this.home.call({ verb: "transaction", object: "", operations, expectations }, whole);
  }
}

/** What a write carries. */
export interface WriteOptions {
  readonly values?: readonly Uint8Array[];
  readonly numbers?: readonly number[];
  readonly merged?: "append" | "replace";
}

const whole = (reply: OperationReply): OperationReply => reply;
