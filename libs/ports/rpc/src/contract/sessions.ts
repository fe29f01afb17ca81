// biome-ignore-all lint/style/noRestrictedGlobals: a test suite, which bounds what it observes by real time
import { PermissionError, SESSION_WINDOW_BYTES, seededRandom, silentLogger } from "@heddle/kernel";
import { describe, expect, test } from "vitest";
import type { RpcFixture } from "../contract.ts";
import { type DialOptions, dialSession } from "../dialing-session.ts";
import { type Listening, streamRoute } from "../rpc.ts";
import type { Session } from "../session.ts";
import { Heard, type TalkerOptions, Talkers, talkMethod, version, type Word, words } from "../session-kit.ts";
import { realClock } from "../testing.ts";

const terms = { leaseMs: 3_000, heartbeatMs: 300 };

/** The suite that sessions pass over every kind of Rpc, in real time. */
export function sessionContract(name: string, fixture: () => Promise<RpcFixture>): void {
  describe(`sessions over ${name}`, () => {
    deliveryCases(fixture);
    outageCases(fixture);
    endCases(fixture);
  });
}

function deliveryCases(fixture: () => Promise<RpcFixture>): void {
  test("entries of both lanes arrive in order in both directions", async () => {
    await using table = await Table.open(fixture);
    const [session, heard] = table.dial();
    for (const word of words("up", 1_000)) session.send(word);
    await table.seated();
    for (const word of words("down", 1_000)) table.talkers.session().send(word, 100);
    await Promise.all([table.talkers.ears().heard(1_000), heard.heard(1_000)]);
    expect(table.talkers.ears().words).toEqual(words("up", 1_000));
    expect(heard.words).toEqual(words("down", 1_000));
  });

  test("bulk of several windows gets through in both directions at the same time", async () => {
    await using table = await Table.open(fixture);
    const [session, heard] = table.dial();
    await table.seated();
    const piece = "x".repeat(128 * 1024);
    const count = (8 * SESSION_WINDOW_BYTES) / piece.length;
    const pour = async (into: Session<Word>): Promise<void> => {
      for (let sent = 0; sent < count; sent++) {
        into.send(piece, piece.length);
        await into.drained();
      }
    };
    await Promise.all([pour(session), pour(table.talkers.session())]);
    await Promise.all([table.talkers.ears().heard(count), heard.heard(count)]);
    expect(heard.words.every((word) => word === piece)).toBe(true);
    expect(table.talkers.ears().words.length).toBe(count);
  });
}

function outageCases(fixture: () => Promise<RpcFixture>): void {
  test("cuts in the middle of traffic lose and repeat nothing", async () => {
    await using table = await Table.open(fixture);
    const [session, heard] = table.dial();
    await table.seated();
    const count = 4_000;
    for (let sent = 0; sent < count; sent++) {
      session.send(`up${sent}`, 50);
      table.talkers.session().send(`down${sent}`, 50);
      if (sent % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
      if (sent % 1_000 === 500) table.rpc.cut();
    }
    await Promise.all([table.talkers.ears().heard(count), heard.heard(count)]);
    expect(table.talkers.ears().words).toEqual(words("up", count));
    expect(heard.words).toEqual(words("down", count));
    expect(heard.links.filter((up) => up).length).toBeGreaterThan(1);
    expect(table.talkers.sessions.length).toBe(1);
  });

  test("a server that is gone for a moment finds its sessions again", async () => {
    await using table = await Table.open(fixture);
    const [session] = table.dial();
    await table.seated();
    await table.stopListening();
    session.send("w");
    await table.listen();
    await table.talkers.ears().heard(1);
    expect(table.talkers.sessions.length).toBe(1);
  });

  test("a server that has forgotten a session ends it as lost", async () => {
    await using table = await Table.open(fixture);
    const [, heard] = table.dial();
    await table.seated();
    await table.stopListening();
    table.forget();
    await table.listen();
    expect(await heard.end()).toMatchObject({ reason: "lost" });
  });

  test("a server that takes connections and says nothing ends a session as expired", async () => {
    await using table = await Table.open(fixture);
    const [, heard] = table.dial({ address: await table.rpc.hole(), unavailableTimeoutMs: 300 });
    expect(await heard.end()).toEqual({ reason: "expired" });
  });

  test("a server that nobody runs ends a session as expired", async () => {
    await using table = await Table.open(fixture);
    await table.stopListening();
    const [, heard] = table.dial({ unavailableTimeoutMs: 300 });
    expect(await heard.end()).toEqual({ reason: "expired" });
  });
}

function endCases(fixture: () => Promise<RpcFixture>): void {
  test("what was sent before close is heard before the goodbye", async () => {
    await using table = await Table.open(fixture);
    const [session] = table.dial();
    await table.seated();
    const said = words("w", 100).map((word) => word.padEnd(50_000, "."));
    for (const word of said) session.send(word, word.length);
    await session.close({ code: "cancelled", message: "no more" });
    expect(await table.talkers.ears().end()).toEqual({
      reason: "goodbye",
      goodbye: { code: "cancelled", message: "no more" },
    });
    expect(table.talkers.ears().words).toEqual(said);
  });

  test("an acceptor that closes says goodbye to its dialers", async () => {
    await using table = await Table.open(fixture);
    const [, heard] = table.dial();
    await table.seated();
    await table.talkers.acceptor.close({ code: "unavailable", message: "moving" });
    expect(await heard.end()).toMatchObject({ reason: "goodbye", goodbye: { message: "moving" } });
  });

  test("a refused session hears why", async () => {
    await using table = await Table.open(fixture, {
      handler: () => {
        throw new PermissionError("not today");
      },
    });
    const [, heard] = table.dial();
    expect(await heard.end()).toMatchObject({ goodbye: { code: "permission", message: "not today" } });
  });

  test("builds without a common version tell each other apart in words", async () => {
    await using table = await Table.open(fixture);
    const [, heard] = table.dial({ version: { ...version, minor: 9, minMinor: 8, build: "next" } });
    expect(await heard.end()).toMatchObject({
      goodbye: { code: "protocol", message: expect.stringMatching(/build test .*build next .*upgrade this side/) },
    });
  });
}

/** A server of sessions over one kind of Rpc, and a place to dial it. */
class Table implements AsyncDisposable {
  readonly rpc: RpcFixture;
  readonly env = { clock: realClock(), random: seededRandom(7), log: silentLogger };
  talkers: Talkers;
  readonly #options: TalkerOptions;
  readonly #open: Session<Word>[] = [];
  #listening: Listening | undefined;
  #at: string;
  #dialAt = "";
  #seated = Promise.withResolvers<void>();

  private constructor(rpc: RpcFixture, options: TalkerOptions) {
    this.rpc = rpc;
    this.#at = rpc.address();
    this.#options = options;
    this.talkers = this.#seat();
  }

  static async open(fixture: () => Promise<RpcFixture>, options: TalkerOptions = {}): Promise<Table> {
    const table = new Table(await fixture(), options);
    await table.listen();
    table.#dialAt = await table.rpc.route(table.#at);
    return table;
  }

  async listen(): Promise<void> {
    const route = streamRoute(talkMethod, (link) => this.talkers.acceptor.accept(link));
    this.#listening = await this.rpc.server.listen(this.#at, [route]);
    this.#at = this.#listening.address;
  }

  async stopListening(): Promise<void> {
    await this.#listening?.[Symbol.asyncDispose]();
    this.#listening = undefined;
  }

  /** The server loses all sessions without a word. */
  forget(): void {
    this.talkers = this.#seat();
  }

  /** Resolves when the server has a session. */
  seated(): Promise<void> {
    return this.#seated.promise;
  }

  dial(options: Partial<DialOptions<Word, Word>> = {}): [Session<Word>, Heard] {
    const heard = new Heard();
    const session = dialSession<Word, Word>({
      env: this.env,
      client: this.rpc.client,
      method: talkMethod,
      address: this.#dialAt,
      version,
      handler: heard,
      onLink: heard.link,
      ...options,
    });
    this.#open.push(session);
    return [session, heard];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#open.map((session) => session.close()));
    await this.talkers.acceptor.close();
    await this.stopListening();
    await this.rpc[Symbol.asyncDispose]();
  }

  #seat(): Talkers {
    return new Talkers(this.env, {
      acceptor: terms,
      handler: (session, heard) => {
        const handler = this.#options.handler?.(session, heard) ?? heard;
        this.#seated.resolve();
        return handler;
      },
    });
  }
}
