// biome-ignore-all lint/style/noRestrictedGlobals: this file stands in for the world, in tests only
import { type Environment, type LogFields, type Logger, seededRandom, silentLogger } from "@heddle/kernel";
import { MemoryJournalStore, memoryJournal } from "@heddle/port-journal";
import { TestDisk } from "@heddle/port-journal/testing";
import {
  type Caller,
  dialSession,
  type Link,
  type Listening,
  MemoryNetwork,
  type Session,
  type SessionEnd,
  thisUser,
  type Version,
} from "@heddle/port-rpc";
import { ManualClock } from "@heddle/port-rpc/testing";
import {
  decodeReplies,
  decodeValue,
  Encoding,
  encodeOperations,
  encodeValue,
  type KeepAliveRequest,
  type KeepAliveResponse,
  type OperateRequestEntry,
  type OperateResponseEntry,
  type Operation,
  objectsOperate,
  type Payload,
  PayloadAssembler,
  protocolVersion,
  type Reply,
  sessionsKeepAlive,
  splitPayload,
  type VerbName,
  verbOf,
} from "@heddle/wire";
import { type ManagerOptions, ManagerShell } from "./manager.ts";

export const ADDRESS = "manager";
const version = protocolVersion("test", 24);

/** Lets everything that is ready run. */
export async function settle(): Promise<void> {
  for (let turns = 0; turns < 10; turns++) await new Promise((resolve) => setImmediate(resolve));
}

/** An operation in short: its verb, its object, its values and numbers. */
export interface Short {
  readonly seq?: number;
  readonly values?: readonly unknown[];
  readonly numbers?: readonly number[];
  readonly guards?: Operation["guards"];
  readonly operations?: readonly Operation[];
  readonly expectations?: Operation["expectations"];
}

export function operation(verb: VerbName, object: string, more: Short = {}): Operation {
  return {
    seq: more.seq ?? 0,
    verb: verbOf(verb),
    object,
    values: (more.values ?? []).map((value) => encodeValue(value, "value")),
    numbers: [...(more.numbers ?? [])],
    guards: more.guards ?? [],
    operations: [...(more.operations ?? [])],
    expectations: more.expectations ?? [],
  };
}

/** A reply as tests look at it: an error's code, else its numbers and decoded values. */
function shortReply({ seq, values, numbers, error }: Reply): unknown {
  if (error !== undefined) return [seq, error.code];
  return [seq, ...numbers, ...values.map((bytes) => decodeValue(bytes))];
}

type Kind = NonNullable<OperateResponseEntry["kind"]>;

/** The nonce of the session of that name. */
export function nonceOf(name: string): string {
  return name.repeat(32).slice(0, 32);
}

/** One end of a stream in the hands of a test. */
export class Peer {
  readonly heard: Kind[] = [];
  readonly replies: { readonly owner: number; readonly reply: Reply }[] = [];
  end: SessionEnd | undefined;
  wire: Session<OperateRequestEntry> | undefined;
  readonly #assembler = new PayloadAssembler<number>();
  readonly #seqs = new Map<number, number>();
  #lastStream = 0;

  readonly handler = {
    entries: (entries: readonly OperateResponseEntry[]): void => {
      for (const { kind } of entries) if (kind !== undefined) this.#hear(kind);
    },
    ended: (end: SessionEnd): void => {
      this.end = end;
    },
  };

  /** Number of its session. */
  get session(): number | undefined {
    return this.heard.findLast((kind) => kind.$case === "sessionOpened")?.value.session;
  }

  /** Why its session ended. */
  get ended(): string | undefined {
    return this.heard.findLast((kind) => kind.$case === "sessionEnded")?.value.code;
  }

  say(kind: NonNullable<OperateRequestEntry["kind"]>, bytes?: number): void {
    this.wire?.send({ kind }, bytes);
  }

  open(nonce: string, ttlMs = 15_000): void {
    this.say({ $case: "openSession", value: { nonce, ttlMs, description: `test ${nonce.slice(0, 1)}` } });
  }

  /** Goes on with a session of the name "a", unless another nonce is given. */
  attach(session: number, nonce = nonceOf("a")): void {
    this.say({ $case: "attachSession", value: { session, nonce } });
  }

  /** Numbers what has no number, and sends it. */
  ask(
    operations: readonly Operation[],
    more: { readonly owner?: number; readonly acknowledged?: number[] } = {},
  ): void {
    const { owner = 0, acknowledged = [] } = more;
    let last = this.#seqs.get(owner) ?? 0;
    const numbered = operations.map((each) => ({ ...each, seq: each.seq === 0 ? ++last : each.seq }));
    this.#seqs.set(owner, last);
    const payload = { encoding: Encoding.UNSPECIFIED, count: numbered.length, bytes: encodeOperations(numbered) };
    const { header, parts } = splitPayload(payload, () => ++this.#lastStream);
    this.say({ $case: "operations", value: { owner, batch: header, acknowledged } }, header.data.length);
    for (const part of parts) this.say({ $case: "part", value: part }, part.data.length);
  }

  /** What was replied so far, in short, in order. */
  replied(owner = 0): unknown[] {
    return this.replies.flatMap(({ owner: whose, reply }) => (whose === owner ? [shortReply(reply)] : []));
  }

  /** The reply to one operation, if there is one. */
  reply(seq: number, owner = 0): Reply | undefined {
    return this.replies.find(({ owner: whose, reply }) => whose === owner && reply.seq === seq)?.reply;
  }

  #hear(kind: Kind): void {
    this.heard.push(kind);
    if (kind.$case === "replies") {
      const { owner, batch } = kind.value;
      const whole = this.#assembler.open(batch as Payload, owner);
      if (whole !== undefined) this.#take(owner, whole.bytes);
    } else if (kind.$case === "part") {
      const completion = this.#assembler.add(kind.value);
      if (completion?.payload !== undefined) this.#take(completion.tag, completion.payload.bytes);
    }
  }

  #take(owner: number, bytes: Uint8Array): void {
    for (const reply of decodeReplies(bytes)) this.replies.push({ owner, reply });
  }
}

/** A manager whose clients, time and disk are the test's. */
export class Bench {
  readonly clock = new ManualClock(settle);
  /** What the manager said for people, from "info" on. */
  readonly logged: { readonly message: string; readonly fields: LogFields | undefined }[] = [];
  readonly env: Environment = { clock: this.clock, random: seededRandom(1), log: logInto(this.logged) };
  readonly network = new MemoryNetwork(this.env);
  readonly disk = new TestDisk();
  readonly store = new MemoryJournalStore(this.disk.write);
  readonly failures: Error[] = [];
  shell: ManagerShell | undefined;
  readonly #more: Partial<ManagerOptions>;
  #listening: Listening | undefined;

  constructor(more: Partial<ManagerOptions> = {}) {
    this.#more = more;
  }

  /** Starts a manager on what the disk keeps. */
  async start(): Promise<void> {
    const journal = memoryJournal(this.store);
    this.shell = new ManagerShell({ env: this.env, journal, build: "test", nodeMajor: 24, pid: 1, ...this.#more });
    void this.shell.failed.then((error) => this.failures.push(error));
    await this.shell.start();
    this.#listening = await this.network.listen(ADDRESS, this.shell.routes);
    await settle();
  }

  /** Ends it as kill -9 does. */
  async kill(): Promise<void> {
    this.store.kill();
    this.network.cut(ADDRESS);
    await this.#listening?.[Symbol.asyncDispose]();
    await settle();
  }

  async restart(): Promise<void> {
    await this.kill();
    await this.start();
  }

  /** A stream without a session. */
  async stream(caller: Caller = thisUser, build: Version = version): Promise<Peer> {
    const peer = new Peer();
    const { env, network } = this;
    peer.wire = dialSession({
      env,
      client: network.as(caller),
      address: ADDRESS,
      version: build,
      method: objectsOperate,
      handler: peer.handler,
    });
    await settle();
    return peer;
  }

  /** A stream with a session of its own. */
  async client(name: string, ttlMs?: number, caller?: Caller): Promise<Peer> {
    const peer = await this.stream(caller);
    peer.open(nonceOf(name), ttlMs);
    await settle();
    return peer;
  }

  /** A stream of beats. */
  async beats(caller: Caller = thisUser): Promise<Beats> {
    const link = await this.network.as(caller).dial(sessionsKeepAlive, ADDRESS, new AbortController().signal);
    return new Beats(link);
  }
}

function logInto(lines: Bench["logged"]): Logger {
  const note = (message: string, fields?: LogFields): void => void lines.push({ message, fields });
  return { ...silentLogger, info: note, warn: note, error: note };
}

/** The other end of a stream of beats. */
export class Beats {
  readonly answers: KeepAliveResponse[] = [];
  readonly #link: Link<KeepAliveRequest, KeepAliveResponse>;
  #beat = 0;

  constructor(link: Link<KeepAliveRequest, KeepAliveResponse>) {
    this.#link = link;
    void this.#listen();
  }

  /** Sends a beat, of a session of the name "a" unless another nonce is given, and lets it be answered. */
  async beat(session: number, nonce = nonceOf("a")): Promise<KeepAliveResponse | undefined> {
    this.#link.send({ session, beat: ++this.#beat, nonce });
    await settle();
    return this.answers.find(({ beat }) => beat === this.#beat);
  }

  async #listen(): Promise<void> {
    for await (const answer of this.#link.incoming) this.answers.push(answer);
  }
}

/** A manager that serves. `atEnd` is told what to do when the test is over. */
export async function openBench(
  atEnd: (close: () => Promise<void>) => void,
  more: Partial<ManagerOptions> = {},
): Promise<Bench> {
  const bench = new Bench(more);
  await bench.start();
  atEnd(() => bench.network[Symbol.asyncDispose]());
  return bench;
}
