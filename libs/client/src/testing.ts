// biome-ignore-all lint/style/noRestrictedGlobals: this file stands in for the world, in tests only
import { type Environment, type Logger, seededRandom, silentLogger } from "@heddle/kernel";
import { sha256Hex } from "@heddle/port-blobs";
import {
  type Listening,
  MemoryNetwork,
  type Session,
  SessionAcceptor,
  streamRoute,
  unaryRoute,
  type Version,
} from "@heddle/port-rpc";
import { ManualClock } from "@heddle/port-rpc/testing";
import type { AnyFunction, Artifact, ShippedFunction, Shipper } from "@heddle/port-shipper";
import {
  adminCancelJob,
  decodePayload,
  Encoding,
  encodeError,
  encodePayload,
  type Failure,
  JobOutcome,
  jobsRun,
  type OfferChunk,
  type Payload,
  PROTOCOL_MINOR,
  protocolVersion,
  type RunRequestEntry,
  type RunResponseEntry,
  type SpanDone,
} from "@heddle/wire";
import { Fabric, type FabricOptions } from "./fabric.ts";
import type { Reader, Reading, Wanted } from "./readers.ts";

const ADDRESS = "coordinator";
const LEASE_MS = 15_000;
const HEARTBEAT_MS = 2_000;

type Kind = NonNullable<RunRequestEntry["kind"]>;
type Case = Kind["$case"];
type Said<C extends Case> = Extract<Kind, { $case: C }>["value"];

/** A world for one test. Errors that are logged are noted. */
function stillEnvironment(logged: string[]): Environment & { readonly clock: ManualClock } {
  const log: Logger = {
    ...silentLogger,
    error: (message, fields) => void logged.push(`${message}: ${String(fields?.cause)}`),
  };
  return { clock: new ManualClock(settle), random: seededRandom(1), log };
}

/** Values as a payload inside its entry. */
export function inline(values: readonly unknown[]): Payload {
  const { encoding, count, bytes } = encodePayload(values, "result");
  return { encoding, count, size: bytes.byteLength, data: bytes, partStream: 0 };
}

/** An item's own error, as a worker says it. */
export function userFailure(offset: number, error: unknown): Failure {
  const data = encodeError(error);
  const value = { encoding: Encoding.MSGPACK, count: 1, size: data.byteLength, data, partStream: 0 };
  const place = { node: "n1", pid: 7, attempt: 1 };
  return { offset, place, summary: String(error), kind: { $case: "userError", value } };
}

/** The items of a chunk that was offered inside its entry. */
function itemsOf({ input }: OfferChunk): unknown[] {
  if (input === undefined || input.partStream !== 0) throw new Error("the chunk has no bytes of its own");
  return decodePayload({ encoding: input.encoding, count: input.count, bytes: input.data });
}

/** Lets everything that is ready run. */
export async function settle(): Promise<void> {
  for (let turns = 0; turns < 5; turns++) await new Promise((resolve) => setImmediate(resolve));
}

/** A shipper whose artifacts are whatever the test says; `ship` waits while `gate` is set. */
export class FakeShipper implements Shipper {
  gate: Promise<void> | undefined;
  failure: Error | undefined;
  /** In words, what is captured without a name. */
  unnamed: string | undefined;

  async ship(fn: AnyFunction): Promise<ShippedFunction> {
    await this.gate;
    if (this.failure !== undefined) throw this.failure;
    const bytes = new TextEncoder().encode(String(fn));
    return {
      artifact: { hash: "a".repeat(64), bytes },
      exportName: "default",
      displayName: fn.name,
      captured: undefined,
      unnamed: this.unnamed,
    };
  }

  handle(_module: URL, exportName: string): AnyFunction {
    return Object.defineProperty((): void => undefined, "name", { value: exportName });
  }

  pack(bytes: Uint8Array): Artifact {
    return { hash: "b".repeat(64), bytes };
  }

  codeHash({ bytes }: Artifact): string {
    return sha256Hex(bytes);
  }

  sha256Hex(bytes: Uint8Array): string {
    return sha256Hex(bytes);
  }

  localStack(stack: string): string {
    return stack.replaceAll("there:", "here:");
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** A coordinator whose every word is the test's, and a fabric that talks to it. */
export class FakeCoordinator implements AsyncDisposable {
  /** Errors that were logged. */
  readonly logged: string[] = [];
  readonly env = stillEnvironment(this.logged);
  readonly network = new MemoryNetwork(this.env);
  readonly shipper = new FakeShipper();
  /** What clients said, over all sessions. */
  readonly entries: RunRequestEntry[] = [];
  readonly sessions: Session<RunResponseEntry>[] = [];
  /** Ids of jobs that were cancelled by name. */
  readonly cancelled: string[] = [];
  readonly printed: string[] = [];
  /** Lines of the terminal's end; those that stay end with a line break. */
  readonly statusLines: string[] = [];
  /** How chunks are answered as they come; undefined: by the test. */
  #work: ((item: unknown) => unknown) | undefined;
  holds = 0;
  readonly fabric: Fabric;
  #acceptor: SessionAcceptor<RunResponseEntry, RunRequestEntry>;
  #listening: Promise<Listening>;
  /** Sent at the beginning of each session; undefined for no word about it. */
  readonly #slots: number | undefined;
  readonly fabricOptions: FabricOptions;

  constructor(slots: number | undefined = 4) {
    this.#slots = slots;
    const version = protocolVersion("test", 24);
    this.#acceptor = this.#newAcceptor(version);
    this.#listening = this.#listen();
    this.fabricOptions = {
      env: this.env,
      client: this.network,
      address: ADDRESS,
      shipper: this.shipper,
      version,
      description: "test",
      unavailableTimeoutMs: 60_000,
      hold: () => {
        this.holds++;
        return { [Symbol.dispose]: () => void this.holds-- };
      },
      statusLine: {
        show: (line) => void this.statusLines.push(line),
        end: (line) => void this.statusLines.push(`${line}\n`),
      },
      print: (stderr, line) => void this.printed.push(`${stderr ? "err" : "out"} ${line}`),
    };
    this.fabric = new Fabric(this.fabricOptions);
  }

  /** Values of the entries of one kind, in order. */
  said<C extends Case>(kind: C): Said<C>[] {
    return this.entries.flatMap((entry) => (entry.kind?.$case === kind ? [entry.kind.value as Said<C>] : []));
  }

  /** Speaks in the newest session. */
  tell(kind: NonNullable<RunResponseEntry["kind"]>): void {
    this.sessions.at(-1)?.send({ kind });
  }

  capacity(slots: number): void {
    this.tell({ $case: "capacity", value: { slots, nodes: slots === 0 ? 0 : 1 } });
  }

  /** Values of one chunk of a job: of all its items unless `more` says otherwise. */
  answer(job: number, chunk: number, values: readonly unknown[], more: Partial<SpanDone> = {}): void {
    this.tell({
      $case: "spanDone",
      value: { job, chunk, span: undefined, values: inline(values), runMicros: 0, ...more },
    });
  }

  /** An item of a chunk failed for good. */
  fail(job: number, chunk: number, offset: number, error: unknown): void {
    this.tell({ $case: "itemFailed", value: { job, chunk, failure: userFailure(offset, error) } });
  }

  end(job: number, outcome: JobOutcome = JobOutcome.DONE): void {
    this.tell({ $case: "jobEnded", value: { job, outcome, error: undefined } });
  }

  /** From now on every chunk is answered by this, item by item. What it throws is the item's error. Jobs end when all of theirs are answered. */
  serve(work: (item: unknown) => unknown): void {
    this.#work = work;
  }

  /** Another fabric, at an address where nobody listens. */
  strandedFabric(): Fabric {
    return new Fabric({ ...this.fabricOptions, address: "nowhere" });
  }

  /** It is killed: nobody hears a word of it, and what it knew is gone. */
  async kill(): Promise<void> {
    this.network.cut(ADDRESS);
    await (await this.#listening)[Symbol.asyncDispose]();
  }

  /** Another begins at the same address. `minor`: of the protocol; this build's unless given. */
  async begin(minor = PROTOCOL_MINOR): Promise<void> {
    this.entries.length = 0;
    this.#acceptor = this.#newAcceptor({ ...protocolVersion("test", 24), minor });
    this.#listening = this.#listen();
    await this.#listening;
  }

  /** Whether it has been dialled since it began, or is within a minute from now. */
  async dialled(): Promise<boolean> {
    const before = this.sessions.length;
    for (let waitedMs = 0; waitedMs < 60_000 && this.sessions.length === before; waitedMs += 100) {
      await this.env.clock.advance(100);
      await settle();
    }
    await settle();
    return this.sessions.length > before;
  }

  /** Ends every session as a coordinator does that stops, and takes new ones no more. */
  stop(goodbye = { code: "unavailable", message: "the coordinator was stopped" }): Promise<void> {
    return this.#acceptor.close(goodbye);
  }

  #listen(): Promise<Listening> {
    const cancel = unaryRoute(adminCancelJob, async ({ jobId }) => {
      this.cancelled.push(jobId);
      return { changed: true };
    });
    return this.network.listen(ADDRESS, [streamRoute(jobsRun, this.#acceptor.accept), cancel]);
  }

  #newAcceptor(version: Version): SessionAcceptor<RunResponseEntry, RunRequestEntry> {
    return new SessionAcceptor<RunResponseEntry, RunRequestEntry>({
      env: this.env,
      serverId: "0".repeat(32),
      version,
      leaseMs: LEASE_MS,
      heartbeatMs: HEARTBEAT_MS,
      onSession: (session) => {
        this.sessions.push(session);
        if (this.#slots !== undefined) this.capacity(this.#slots);
        return { entries: (entries) => this.#take(entries), ended: () => undefined };
      },
    });
  }

  #take(entries: readonly RunRequestEntry[]): void {
    this.entries.push(...entries);
    if (this.#work === undefined) return;
    for (const { kind } of entries) {
      if (kind?.$case === "offerChunk") this.#serve(kind.value, this.#work);
      if (kind?.$case === "sealJob") this.end(kind.value.job);
    }
  }

  #serve(offer: OfferChunk, work: (item: unknown) => unknown): void {
    const { job, chunk } = offer;
    const collects = this.said("openJob").findLast((one) => one.job === job)?.collect === true;
    for (const [offset, item] of itemsOf(offer).entries())
      try {
        this.answer(job, chunk, [work(item)], { span: { offset, count: 1 } });
      } catch (error) {
        this.fail(job, chunk, offset, error);
        if (collects) continue;
        this.end(job, JobOutcome.FAILED);
        return;
      }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.fabric.close();
    await this.network[Symbol.asyncDispose]();
  }
}

/** Everything that a reader has now, chunk by chunk. */
export function readAll(
  reader: Reader,
  { count, bytesTarget = Number.POSITIVE_INFINITY, isEager = false }: Partial<Wanted> & { readonly count: number },
): Reading[] {
  const readings: Reading[] = [];
  for (;;) {
    const reading = reader.read({ count, bytesTarget, isEager });
    if (reading.type === "end" || reading.type === "later") return readings;
    readings.push(reading);
    if (reading.type === "broken") return readings;
  }
}
