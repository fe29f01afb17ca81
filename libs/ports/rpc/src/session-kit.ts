import type { Environment, Logger } from "@heddle/kernel";
import { type AcceptedHandler, SessionAcceptor } from "./accepting-sessions.ts";
import { type Caller, thisUser } from "./caller.ts";
import type { QuotaOptions } from "./caller-quota.ts";
import { type DialOptions, dialSession } from "./dialing-session.ts";
import type { Frame, SessionControl, Version } from "./frame.ts";
import type { SessionSizes } from "./limits.ts";
import type { Link } from "./link.ts";
import { MemoryNetwork } from "./memory.ts";
import { type Listening, type MessageCodec, type StreamMethod, streamRoute } from "./rpc.ts";
import type { Session, SessionEnd } from "./session.ts";
import { type ManualClock, manualEnvironment, turn } from "./testing.ts";

/** An entry of the tests: text, so that JSON can carry it. */
export type Word = string;
export type WordFrame = Frame<Word>;
export type WordLink = Link<WordFrame, WordFrame>;

const codec: MessageCodec<WordFrame> = {
  encode: (frame) => ({ finish: () => new TextEncoder().encode(JSON.stringify(frame)) }),
  decode: (bytes) => ({ control: undefined, ...JSON.parse(new TextDecoder().decode(bytes)) }),
};

export const talkMethod: StreamMethod<WordFrame, WordFrame> = {
  path: "/test.Sessions/Talk",
  request: codec,
  response: codec,
};

export const version: Version = { minor: 3, minMinor: 2, encodings: [1], nodeMajor: 24, build: "test" };
export const leaseMs = 15_000;
export const heartbeatMs = 2_000;
export const sessionId = "0123456789abcdef0123456789abcdef";

/** What one side of a session heard. */
export class Heard {
  readonly words: Word[] = [];
  /** Number of entries of each call of `entries`. */
  readonly batches: number[] = [];
  readonly ends: SessionEnd[] = [];
  readonly links: boolean[] = [];
  readonly #ended = Promise.withResolvers<SessionEnd>();
  #waiting: { readonly count: number; readonly resolve: () => void }[] = [];

  readonly entries = (entries: readonly Word[]): void => {
    for (const entry of entries) this.words.push(entry);
    this.batches.push(entries.length);
    for (const { count, resolve } of this.#waiting) if (this.words.length >= count) resolve();
    this.#waiting = this.#waiting.filter(({ count }) => this.words.length < count);
  };

  readonly ended = (end: SessionEnd): void => {
    this.ends.push(end);
    this.#ended.resolve(end);
  };

  readonly link = (up: boolean): void => {
    this.links.push(up);
  };

  /** Resolves when `count` words came. */
  heard(count: number): Promise<void> {
    if (this.words.length >= count) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ count, resolve }));
  }

  /** Resolves when the session is over. */
  end(): Promise<SessionEnd> {
    return this.#ended.promise;
  }
}

/** A server of sessions that remembers what each one heard. */
export class Talkers {
  readonly acceptor: SessionAcceptor<Word, Word>;
  readonly sessions: Session<Word>[] = [];
  readonly heard: Heard[] = [];
  /** Whose the sessions are. */
  readonly callers: Caller[] = [];

  constructor(env: Environment, options: TalkerOptions = {}) {
    this.acceptor = new SessionAcceptor<Word, Word>({
      env,
      serverId: "server-1",
      version,
      leaseMs,
      heartbeatMs,
      onSession: (session, _hello, caller): AcceptedHandler<Word> => {
        const heard = new Heard();
        this.sessions.push(session);
        this.callers.push(caller);
        this.heard.push(heard);
        return options.handler?.(session, heard) ?? heard;
      },
      ...options.acceptor,
    });
  }

  /** The only session so far, or the one numbered `at`. */
  session(at = 0): Session<Word> {
    return existing(this.sessions[at]);
  }

  ears(at = 0): Heard {
    return existing(this.heard[at]);
  }
}

export interface TalkerOptions {
  readonly acceptor?: {
    readonly version?: Version;
    readonly leaseMs?: number;
    readonly heartbeatMs?: number;
    readonly sizes?: Partial<SessionSizes>;
    readonly sessionsMax?: number;
    readonly quota?: QuotaOptions;
    readonly serverId?: string;
  };
  readonly handler?: (session: Session<Word>, heard: Heard) => AcceptedHandler<Word>;
}

/** A memory network on manual time, with one server of sessions. */
export class World implements AsyncDisposable {
  /** What was logged, on both sides: "warn: " and the message. */
  readonly logged: string[] = [];
  readonly env = manualEnvironment(1, logInto(this.logged));
  readonly clock: ManualClock = this.env.clock;
  readonly network = new MemoryNetwork(this.env);
  talkers: Talkers;
  listening: Listening | undefined;
  readonly address = "talk";

  private constructor(options: TalkerOptions) {
    this.talkers = new Talkers(this.env, options);
  }

  static async open(options: TalkerOptions = {}): Promise<World> {
    const world = new World(options);
    await world.listen();
    return world;
  }

  async listen(): Promise<void> {
    this.listening = await this.network.listen(this.address, [streamRoute(talkMethod, this.talkers.acceptor.accept)]);
  }

  /** The server dies with all it knew, and begins anew. */
  async restart(options: TalkerOptions = {}): Promise<void> {
    this.network.cut(this.address);
    await this.listening?.[Symbol.asyncDispose]();
    this.talkers = new Talkers(this.env, options);
    await this.listen();
  }

  /** Opens a session; what it hears is in the second part. */
  dial(options: Partial<DialOptions<Word, Word>> = {}): [Session<Word>, Heard] {
    const heard = new Heard();
    const session = dialSession<Word, Word>({
      env: this.env,
      client: this.network,
      method: talkMethod,
      address: this.address,
      version,
      handler: heard,
      onLink: heard.link,
      ...options,
    });
    return [session, heard];
  }

  /** A link to the server on which the test itself speaks. */
  async raw(caller: Caller = thisUser): Promise<RawPeer> {
    const signal = new AbortController().signal;
    return new RawPeer(await this.network.as(caller).dial(talkMethod, this.address, signal));
  }

  cut(): void {
    this.network.cut(this.address);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.network[Symbol.asyncDispose]();
  }
}

function logInto(lines: string[]): Logger {
  const noting = (level: string) => (message: string) => void lines.push(`${level}: ${message}`);
  return { debug: noting("debug"), info: noting("info"), warn: noting("warn"), error: noting("error") };
}

/** One end of a link in the hands of a test. */
export class RawPeer {
  readonly link: WordLink;
  readonly frames: WordFrame[] = [];

  constructor(link: WordLink) {
    this.link = link;
    void this.#read();
  }

  say(sequence: number, acknowledged: number, entries: Word[]): void {
    this.link.send({ sequence, acknowledged, control: undefined, entries });
  }

  control(kind: SessionControl["kind"], entries: Word[] = []): void {
    this.link.send({ sequence: 0, acknowledged: 0, control: { kind }, entries });
  }

  hello(received = 0, id = sessionId): void {
    this.control({ $case: "hello", value: { version, sessionId: id, received } });
  }

  welcome(received = 0, resumed = false): void {
    const value = { version, resumed, received, leaseMs, heartbeatMs, serverId: "raw" };
    this.control({ $case: "welcome", value });
  }

  /** Sequences of the frames that carried entries. */
  get sequences(): number[] {
    return this.frames.filter(({ sequence }) => sequence > 0).map(({ sequence }) => sequence);
  }

  /** Everything that came in entries. */
  get words(): Word[] {
    return this.frames.flatMap(({ entries }) => entries);
  }

  /** The goodbye that came, if one did. */
  get goodbye() {
    return this.controls("goodbye")[0];
  }

  controls<Case extends "hello" | "welcome" | "goodbye">(kind: Case) {
    return this.frames.flatMap(({ control }) => (control?.kind?.$case === kind ? [control.kind.value] : []));
  }

  async #read(): Promise<void> {
    for await (const frame of this.link.incoming) this.frames.push(frame);
  }
}

/** A server whose links the test itself speaks on. */
export async function rawServer(network: MemoryNetwork, address: string): Promise<RawPeer[]> {
  const peers: RawPeer[] = [];
  await network.listen(address, [streamRoute(talkMethod, (link) => peers.push(new RawPeer(link)))]);
  return peers;
}

/** Lets everything that is ready run, however many steps it takes. */
export async function settle(): Promise<void> {
  for (let turns = 0; turns < 5; turns++) await turn();
}

/** `count` different words. */
export function words(prefix: string, count: number): Word[] {
  return Array.from({ length: count }, (_, at) => `${prefix}${at}`);
}

export function existing<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("expected one to exist");
  return value;
}
