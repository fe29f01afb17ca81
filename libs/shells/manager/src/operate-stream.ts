import { isWrite, type Operation, type Reply, type SessionNumber } from "@heddle/core-objects";
import { Fifo, OPERATIONS_BYTES_MAX, ProtocolError } from "@heddle/kernel";
import type { Caller, Session } from "@heddle/port-rpc";
import {
  type AttachSession,
  type DescribeOwner,
  decodeOperations,
  type OpenSession,
  type OperateRequestEntry,
  type OperateResponseEntry,
  type Operations,
  type Part,
  type Payload,
  PayloadAssembler,
  type Operation as WireOperation,
} from "@heddle/wire";
import {
  ASSEMBLING_BYTES_MAX,
  DESCRIBED_OWNERS_MAX,
  DESCRIPTION_LENGTH_MAX,
  PARKED_BYTES_MAX,
  REPLY_BACKLOG_BYTES,
} from "./limits.ts";
import { coreOperation } from "./records.ts";
import { ReplyLines } from "./reply-lines.ts";

/** What a stream asks of the desk that it belongs to. */
export interface OperateHost {
  /** Whether operations are taken now. `unpark` is called when they are again. */
  readonly isServing: () => boolean;
  readonly open: (stream: OperateStream, opened: OpenSession) => void;
  readonly attach: (stream: OperateStream, attached: AttachSession) => void;
  /** `batch`: these operations in bytes, if at hand. */
  readonly write: (stream: OperateStream, owner: number, writes: Writes, batch: Uint8Array | undefined) => void;
  readonly read: (stream: OperateStream, owner: number, operation: Operation) => void;
  readonly refuse: (stream: OperateStream, owner: number, reply: Reply) => void;
  readonly closeOwner: (stream: OperateStream, owner: number) => void;
  readonly closeSession: (stream: OperateStream) => void;
}

/** Operations of one owner that write, in order. */
export interface Writes {
  readonly acknowledged: readonly number[];
  readonly operations: readonly Operation[];
}

interface Announced {
  readonly owner: number;
  readonly acknowledged: readonly number[];
  readonly bytes: number;
}

/** A stream of a client or an agent: turns what it says into commands and reads, in order. */
export class OperateStream {
  readonly wire: Session<OperateResponseEntry>;
  /** Who is at the other end. */
  readonly caller: Caller;
  /** Its build is one whose beats say the nonce of their session. */
  readonly saysNonce: boolean;
  readonly replies: ReplyLines;
  /** Reads without an answer, by owner and number: if the state has to be made anew, they are asked again. */
  readonly reads = new Map<number, Map<number, Operation>>();
  /** Who its owners are, for people. Size <= DESCRIBED_OWNERS_MAX. */
  readonly owners = new Map<number, string>();
  /** Its session; undefined before it has one, and after that ended. */
  session: SessionNumber | undefined;
  /** The session that it speaks for, to the last word of that. */
  speaksFor: SessionNumber | undefined;
  /** It waits to hear that its session is open. */
  isOpening = false;
  readonly #host: OperateHost;
  readonly #assembler = new PayloadAssembler<Announced>();
  /** Said and not yet looked at, while replies pile up before a peer that does not read, or no operations are taken. */
  readonly #parked = new Fifo<OperateRequestEntry>();
  #parkedBytes = 0;
  #assemblingBytes = 0;
  #isWaiting = false;
  #hasBegun = false;
  #isOver = false;

  constructor(
    wire: Session<OperateResponseEntry>,
    { caller, saysNonce }: Pick<OperateStream, "caller" | "saysNonce">,
    host: OperateHost,
  ) {
    this.wire = wire;
    this.caller = caller;
    this.saysNonce = saysNonce;
    this.#host = host;
    this.replies = new ReplyLines(wire);
  }

  /** Entries came. Throws ProtocolError for what no honest peer says. */
  take(entries: readonly OperateRequestEntry[]): void {
    for (const entry of entries) {
      if (this.#mustWait()) this.#park(entry);
      else this.#handle(entry);
    }
  }

  /** Goes on with what is parked, as far as possible now. */
  unpark(): void {
    while (!this.#isOver && !this.#isFull()) {
      const entry = this.#parked.shift();
      if (entry === undefined) break;
      this.#parkedBytes -= bytesOf(entry);
      try {
        this.#handle(entry);
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        void this.wire.close({ code: "protocol", message: error.message });
        return;
      }
    }
    if (this.#parked.size > 0) this.#waitForReader();
  }

  /** The session on it begins, or goes on: what it asked before counts for nothing. */
  bind(session: SessionNumber): void {
    this.session = session;
    this.speaksFor = session;
    this.isOpening = true;
    this.reads.clear();
    this.owners.clear();
  }

  /** Nothing comes any more. */
  end(): void {
    this.#isOver = true;
    this.#parked.clear();
    this.#assembler.clear();
    this.reads.clear();
  }

  /** A read was answered. */
  answered(owner: number, seq: number): void {
    const reads = this.reads.get(owner);
    if (reads?.delete(seq) === true && reads.size === 0) this.reads.delete(owner);
  }

  #mustWait(): boolean {
    return this.#parked.size > 0 || this.#isFull();
  }

  #isFull(): boolean {
    return !this.#host.isServing() || this.wire.queuedBytes > REPLY_BACKLOG_BYTES;
  }

  #park(entry: OperateRequestEntry): void {
    this.#parked.push(entry);
    this.#parkedBytes += bytesOf(entry);
    if (this.#parkedBytes > PARKED_BYTES_MAX)
      throw new ProtocolError(
        `${this.#parkedBytes} bytes of operations wait, PARKED_BYTES_MAX is ${PARKED_BYTES_MAX}: read the replies`,
      );
    this.#waitForReader();
  }

  #waitForReader(): void {
    if (this.#isWaiting || !this.#host.isServing()) return; // the desk unparks everybody when operations are taken again
    this.#isWaiting = true;
    void this.wire.drained().then(() => {
      this.#isWaiting = false;
      this.unpark();
    });
  }

  #handle({ kind }: OperateRequestEntry): void {
    switch (kind?.$case) {
      case "openSession":
        this.#hasBegun = true;
        return this.#host.open(this, kind.value);
      case "attachSession":
        this.#hasBegun = true;
        return this.#host.attach(this, kind.value);
      case "operations":
        return this.#announced(kind.value);
      case "part":
        return this.#part(kind.value);
      case "closeOwner":
        this.#checkBegun();
        this.owners.delete(kind.value.owner);
        if (this.session !== undefined) this.#host.closeOwner(this, kind.value.owner);
        return;
      case "describeOwner":
        this.#checkBegun();
        return this.#describeOwner(kind.value);
      case "closeSession":
        this.#checkBegun();
        if (this.session !== undefined) this.#host.closeSession(this);
        return;
      case undefined: // a kind that this build does not know
        return;
    }
  }

  #checkBegun(): void {
    if (!this.#hasBegun) throw new ProtocolError("a stream must open or attach a session before it says anything else");
  }

  #describeOwner({ owner, description }: DescribeOwner): void {
    if (this.owners.size >= DESCRIBED_OWNERS_MAX && !this.owners.has(owner)) return;
    this.owners.set(owner, description.slice(0, DESCRIPTION_LENGTH_MAX));
  }

  #announced({ owner, acknowledged, batch }: Operations): void {
    this.#checkBegun();
    if (batch === undefined) throw new ProtocolError("operations came without their bytes");
    if (batch.size > OPERATIONS_BYTES_MAX)
      throw new ProtocolError(`${batch.size} bytes of operations: OPERATIONS_BYTES_MAX is ${OPERATIONS_BYTES_MAX}`);
    if (this.#assemblingBytes + batch.size > ASSEMBLING_BYTES_MAX)
      throw new ProtocolError(
        `${this.#assemblingBytes + batch.size} bytes of payloads are incomplete: ASSEMBLING_BYTES_MAX is ${ASSEMBLING_BYTES_MAX}`,
      );
    const whole = this.#assembler.open(batch, { owner, acknowledged, bytes: batch.size });
    if (whole !== undefined) return this.#operate(owner, acknowledged, whole);
    this.#assemblingBytes += batch.size;
  }

  #part(part: Part): void {
    const completion = this.#assembler.add(part);
    if (completion === undefined) return;
    const { tag, payload } = completion;
    this.#assemblingBytes -= tag.bytes;
    if (payload !== undefined) this.#operate(tag.owner, tag.acknowledged, payload);
  }

  /** Operations of a session that ended are dropped: their owner is told so, or was. */
  #operate(
    owner: number,
    acknowledged: readonly number[],
    batch: Pick<Payload, "count"> & { bytes: Uint8Array },
  ): void {
    if (this.session === undefined) return;
    const asked = decodeOperations(batch.bytes);
    if (asked.length !== batch.count)
      throw new ProtocolError(`a batch said to hold ${batch.count} operations and holds ${asked.length}`);
    checkAcknowledged(acknowledged);
    let told = acknowledged;
    let writes: Operation[] = [];
    const write = (bytes?: Uint8Array): void => {
      if (writes.length === 0) return;
      const taken = { acknowledged: told, operations: writes };
      told = NONE;
      writes = [];
      this.#host.write(this, owner, taken, bytes);
    };
    let last = 0;
    for (const wire of asked) {
      if (wire.seq <= last) throw new ProtocolError(`operation ${wire.seq} came behind ${last}: numbers must grow`);
      last = wire.seq;
      const operation = coreOperation(wire);
      if (operation !== undefined && isWrite(operation.verb)) {
        writes.push(operation);
        continue;
      }
      write();
      if (operation !== undefined) this.#host.read(this, owner, operation);
      else this.#host.refuse(this, owner, unknownVerb(wire));
    }
    write(writes.length === asked.length ? batch.bytes : undefined);
  }
}

const NONE: readonly number[] = [];

function checkAcknowledged(acknowledged: readonly number[]): void {
  if (acknowledged.length % 2 !== 0) throw new ProtocolError("acknowledgements come in pairs: first number, how many");
}

function unknownVerb({ seq, verb: outer, operations }: WireOperation): Reply {
  const verb = operations.find((inner) => coreOperation(inner) === undefined)?.verb ?? outer;
  const message = `this manager knows no operation with the number ${verb}: it is older than its client, upgrade it`;
  return { seq, values: [], numbers: [], revision: 0, refusal: { code: "protocol", message } };
}

/** What an entry holds in memory, about. */
function bytesOf({ kind }: OperateRequestEntry): number {
  switch (kind?.$case) {
    case "operations":
      return 64 + (kind.value.batch?.data.length ?? 0);
    case "part":
      return 64 + kind.value.data.length;
    default:
      return 64;
  }
}
