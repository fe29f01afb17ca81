import { Fifo, LimitError, OPERATIONS_BYTES_MAX } from "@heddle/kernel";
import type { Reply } from "@heddle/wire";
import {
  OPERATION_BYTES_IN_FLIGHT_MAX,
  OPERATION_BYTES_QUEUED_MAX,
  OPERATIONS_ENTRY_BYTES_MAX,
  OPERATIONS_IN_FLIGHT_MAX,
  OPERATIONS_PER_ENTRY_MAX,
  OPERATIONS_QUEUED_MAX,
  OPERATIONS_WAITING_MAX,
} from "../limits.ts";
import { Acknowledgements, SENT_AGAIN } from "./acknowledgements.ts";
import type { PendingOperation } from "./operation.ts";

/** What leaves in one entry. */
export interface OperationsBatch {
  readonly operations: readonly PendingOperation[];
  /** First number and how many, pair by pair. */
  readonly acknowledged: number[];
}

/**
 * The operations of a session in the order in which they were asked: those that wait for their turn, and those that were sent and have no reply.
 * An operation is in `#queued` until a batch takes it, then in `#sent` until its reply comes. Pure.
 */
export class OperationLine {
  readonly #queued = new Fifo<PendingOperation>();
  /** By number, growing. */
  readonly #sent = new Map<number, PendingOperation>();
  readonly #acknowledgements = new Acknowledgements();
  /** Of the sent ones, those that are to be sent again before anything else. */
  #again = new Fifo<PendingOperation>();
  /** Without those that were withdrawn. */
  #queuedCount = 0;
  #queuedBytes = 0;
  #inFlight = 0;
  #inFlightBytes = 0;
  /** Those that wait for others, sent or not. */
  #waitingCount = 0;
  /** Those of them that no flush waits for. */
  #unflushedCount = 0;

  /** Those that wait for others and have no reply. */
  get waitingCount(): number {
    return this.#waitingCount;
  }

  /** Operations without a reply. */
  get size(): number {
    return this.#queuedCount + this.#sent.size;
  }

  /** Those of them that a flush waits for. */
  get flushCount(): number {
    return this.size - this.#unflushedCount;
  }

  /** Throws LimitError when there are too many, or it is too large. */
  push(operation: PendingOperation): void {
    this.#checkRoom(operation);
    this.#queued.push(operation);
    this.#queuedCount++;
    this.#queuedBytes += operation.bytes;
    this.#countWaiting(operation, 1);
  }

  /** Takes back what was not sent. False: it was. */
  withdraw(operation: PendingOperation): boolean {
    if (this.#sent.has(operation.seq) || operation.isWithdrawn) return false;
    operation.isWithdrawn = true;
    this.#unqueued(operation);
    this.#countWaiting(operation, -1);
    return true;
  }

  /** The next operations to send; undefined when none may leave now. */
  take(): OperationsBatch | undefined {
    const operations: PendingOperation[] = [];
    let bytes = 0;
    let hasWrite = false;
    while (operations.length < OPERATIONS_PER_ENTRY_MAX) {
      const next = this.#next(OPERATIONS_ENTRY_BYTES_MAX - bytes, operations.length === 0);
      if (next === undefined) break;
      operations.push(next);
      bytes += next.bytes;
      hasWrite ||= next.isWrite;
    }
    if (operations.length === 0) return undefined;
    return { operations, acknowledged: hasWrite ? this.#acknowledgements.take(operations) : NONE };
  }

  /** Whose reply it is; undefined when it was answered before. */
  answered({ seq }: Reply): PendingOperation | undefined {
    const operation = this.#sent.get(seq);
    if (operation === undefined) return undefined;
    this.#sent.delete(seq);
    if (operation.isWaiting) this.#countWaiting(operation, -1);
    else {
      this.#inFlight--;
      this.#inFlightBytes -= operation.bytes;
    }
    this.#acknowledgements.add(operation);
    return operation;
  }

  /** The stream is a new one: what was sent has to be sent again. */
  again(): void {
    this.#again = new Fifo<PendingOperation>();
    for (const operation of this.#sent.values()) {
      operation.batch = SENT_AGAIN;
      this.#again.push(operation);
    }
    this.#acknowledgements.again();
  }

  /** Those without a reply, in order. */
  *pending(): Iterable<PendingOperation> {
    yield* this.#sent.values();
    for (const operation of this.#queued) if (!operation.isWithdrawn) yield operation;
  }

  /** Whether it has left. */
  isSent({ seq }: PendingOperation): boolean {
    return this.#sent.has(seq);
  }

  /** Forgets everything: another session begins. Gives those without a reply, in order. */
  clear(): PendingOperation[] {
    const operations = [...this.pending()];
    this.#queued.clear();
    this.#sent.clear();
    this.#again.clear();
    this.#acknowledgements.clear();
    this.#queuedCount = 0;
    this.#queuedBytes = 0;
    this.#inFlight = 0;
    this.#inFlightBytes = 0;
    this.#waitingCount = 0;
    this.#unflushedCount = 0;
    return operations;
  }

  /** The next one that fits, or, as the first of a batch, the next one whatever its size. */
  #next(room: number, isFirst: boolean): PendingOperation | undefined {
    for (let again = this.#again.peek(); again !== undefined; again = this.#again.peek()) {
      if (!isFirst && again.bytes > room) return undefined;
      this.#again.shift();
      if (this.#sent.has(again.seq)) return again;
    }
    for (let next = this.#queued.peek(); next !== undefined; next = this.#queued.peek()) {
      if (next.isWithdrawn) {
        this.#queued.shift();
        continue;
      }
      if ((!isFirst && next.bytes > room) || !this.#mayLeave(next)) return undefined;
      this.#queued.shift();
      this.#unqueued(next);
      this.#sent.set(next.seq, next);
      if (!next.isWaiting) {
        this.#inFlight++;
        this.#inFlightBytes += next.bytes;
      }
      return next;
    }
    return undefined;
  }

  #mayLeave({ isWaiting, bytes }: PendingOperation): boolean {
    if (isWaiting || this.#inFlight === 0) return true;
    return this.#inFlight < OPERATIONS_IN_FLIGHT_MAX && this.#inFlightBytes + bytes <= OPERATION_BYTES_IN_FLIGHT_MAX;
  }

  #countWaiting({ isWaiting, isAwaitedByFlush }: PendingOperation, more: 1 | -1): void {
    if (!isWaiting) return;
    this.#waitingCount += more;
    if (!isAwaitedByFlush) this.#unflushedCount += more;
  }

  #unqueued({ bytes }: PendingOperation): void {
    this.#queuedCount--;
    this.#queuedBytes -= bytes;
  }

  #checkRoom({ isWaiting, bytes }: PendingOperation): void {
    if (bytes > OPERATIONS_BYTES_MAX)
      throw new LimitError("OPERATIONS_BYTES_MAX", OPERATIONS_BYTES_MAX, bytes, tooLargeWords(bytes));
    if (isWaiting && this.#waitingCount >= OPERATIONS_WAITING_MAX)
      throw new LimitError("OPERATIONS_WAITING_MAX", OPERATIONS_WAITING_MAX, this.#waitingCount + 1);
    const count = this.#queuedCount + 1;
    if (count > OPERATIONS_QUEUED_MAX)
      throw new LimitError("OPERATIONS_QUEUED_MAX", OPERATIONS_QUEUED_MAX, count, queuedWords("OPERATIONS_QUEUED_MAX"));
    const queuedBytes = this.#queuedBytes + bytes;
    if (queuedBytes > OPERATION_BYTES_QUEUED_MAX && count > 1)
      throw new LimitError(
        "OPERATION_BYTES_QUEUED_MAX",
        OPERATION_BYTES_QUEUED_MAX,
        queuedBytes,
        queuedWords("OPERATION_BYTES_QUEUED_MAX"),
      );
  }
}

const NONE: number[] = [];

/** Whoever sends so much is cut off, and would send it again on each new stream. */
function tooLargeWords(bytes: number): string {
  return `OPERATIONS_BYTES_MAX: one operation, or all that counts together, has ${OPERATIONS_BYTES_MAX} bytes at most, this has ${bytes}: write it in several`;
}

function queuedWords(limit: string): string {
  return `${limit}: too many operations on shared objects wait to be sent; await some of them now and then, or flush()`;
}
