import { type Expectation, type Guard, type Operation, type Reply, type Verb, verbOf } from "@heddle/wire";
import type { OperationReply, OperationRequest } from "./channel.ts";
import { type Failure, OperationPromise } from "./operation-promise.ts";
import type { VerbTraits } from "./verb-traits.ts";

const NONE: never[] = [];
/** Fields of an operation beside its values, about. */
const HEAD_BYTES = 48;

function bytesOf(values: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const { length } of values) bytes += length + 4;
  return bytes;
}

/** What ends an operation that waits before it is so far. */
export interface Impatience {
  /** What to reject with. */
  readonly failure: Failure;
}

/** An operation that was asked and has no reply: what is sent for it, and who waits for it. One object, for there are many. */
export class PendingOperation implements Operation {
  readonly seq: number;
  readonly verb: Verb;
  readonly object: string;
  readonly values: Uint8Array[];
  readonly numbers: number[];
  readonly guards: Guard[];
  readonly operations: Operation[];
  readonly expectations: Expectation[];

  readonly request: OperationRequest;
  readonly traits: VerbTraits;
  /** What is sent, about. */
  readonly bytes: number;
  /** It may take as long as others like: it does not count against the window. */
  readonly isWaiting: boolean;
  /** It is done once however often it is sent, and the manager keeps its reply until it is acknowledged. */
  readonly isWrite: boolean;
  /** `flush` waits for it. */
  readonly isAwaitedByFlush: boolean;
  readonly promise = new OperationPromise<unknown>();
  readonly #read: (reply: Reply) => unknown;
  /** Number of the batch in which it was sent; 0 before that, SENT_AGAIN once it was sent again. */
  batch = 0;
  isSettled = false;
  /** Taken back before it was sent. */
  isWithdrawn = false;
  /** The caller has given it up, and the manager's word on that is awaited. */
  impatience: Impatience | undefined;
  /** Ends its timer and its listening to a signal. */
  patience: Disposable | undefined;

  constructor(seq: number, request: OperationRequest, options: OperationOptions) {
    const { values, numbers, operations, expectations } = request;
    const { traits } = options;
    this.seq = seq;
    this.request = request;
    this.traits = traits;
    this.verb = traits.verb;
    this.object = request.object;
    this.values = copied(values);
    this.numbers = options.numbers ?? copied(numbers);
    this.guards = options.guards;
    this.operations = operations === undefined ? NONE : operations.map((inner, at) => innerOperation(inner, at + 1));
    this.expectations = copied(expectations);
    this.isWaiting = options.isWaiting;
    this.isWrite = traits.changes;
    this.isAwaitedByFlush = !options.isWaiting || traits.isPut;
    this.#read = options.read;
    let bytes = HEAD_BYTES + bytesOf(this.values);
    for (const { object, values: written } of this.operations) bytes += HEAD_BYTES + object.length + bytesOf(written);
    for (const { object, key } of this.expectations) bytes += HEAD_BYTES + object.length + key.length;
    this.bytes = bytes;
  }

  /** What `read` throws rejects it. Nothing happens once it is settled. */
  resolve(reply: Reply): void {
    if (this.isSettled) return;
    this.#end();
    let result: unknown;
    try {
      result = this.#read(reply);
    } catch (error) {
      this.promise.fail({ make: () => error, isOurs: false });
      return;
    }
    this.promise.fulfil(result);
  }

  reject(failure: Failure): void {
    if (this.isSettled) return;
    this.#end();
    this.promise.fail(failure);
  }

  #end(): void {
    this.isSettled = true;
    this.patience?.[Symbol.dispose]();
    this.patience = undefined;
  }
}

/** How an operation is asked. */
export interface OperationOptions {
  /** Of the request's verb. */
  readonly traits: VerbTraits;
  readonly isWaiting: boolean;
  readonly guards: Guard[];
  /** Instead of the request's. */
  readonly numbers?: number[] | undefined;
  /** Makes of the reply what the promise resolves with. */
  readonly read: (reply: OperationReply) => unknown;
}

/** Asked under no guard. */
export const NO_GUARDS: Guard[] = NONE;

function copied<T>(items: readonly T[] | undefined): T[] {
  return items === undefined || items.length === 0 ? NONE : items.slice();
}

function innerOperation({ verb, object, values, numbers }: OperationRequest, seq: number): Operation {
  return {
    seq,
    verb: verbOf(verb),
    object,
    values: copied(values),
    numbers: copied(numbers),
    guards: NONE,
    operations: NONE,
    expectations: NONE,
  };
}
