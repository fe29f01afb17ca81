import { SESSION_WINDOW_BYTES, seededRandom, silentLogger } from "@heddle/kernel";
import {
  dialSession,
  type Frame,
  type MessageCodec,
  type Session,
  SessionAcceptor,
  streamRoute,
} from "@heddle/port-rpc";
import { afterEach, expect, test } from "vitest";
import { createGrpcServer } from "./index.ts";
import { closeKept, keep, testClient } from "./test-kit.ts";
import { anyAccess, descriptorSet, fixedToken, openRelay, type Relay, realTime, testToken } from "./testing.ts";

afterEach(closeKept);

type Piece = { readonly number: number; readonly bytes: number };
type PieceFrame = Frame<Piece>;

/** A frame as JSON, and after it as many bytes as its pieces say, so that the wire is full. */
const codec: MessageCodec<PieceFrame> = {
  encode: (frame) => ({
    finish: () => {
      const filler = frame.entries.reduce((sum, { bytes }) => sum + bytes, 0);
      const head = Buffer.from(`${JSON.stringify(frame)}\n`);
      return Buffer.concat([head, Buffer.alloc(filler)]);
    },
  }),
  decode: (bytes) => {
    const head = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    return { control: undefined, ...JSON.parse(head.toString("utf8", 0, head.indexOf(10))) };
  },
};
const method = { path: "/test.Stall/Talk", request: codec, response: codec };
const version = { minor: 1, minMinor: 1, encodings: [], nodeMajor: 24, build: "test" };

/** What one side got, in order, and a way to wait for the rest. */
class Taken {
  readonly numbers: number[] = [];
  readonly #all = Promise.withResolvers<void>();
  readonly #count: number;
  readonly #each: (count: number) => void;

  constructor(count: number, each: (count: number) => void = () => undefined) {
    this.#count = count;
    this.#each = each;
  }

  readonly entries = (entries: readonly Piece[]): void => {
    for (const { number } of entries) this.numbers.push(number);
    this.#each(this.numbers.length);
    if (this.numbers.length >= this.#count) this.#all.resolve();
  };

  all(): Promise<void> {
    return this.#all.promise;
  }
}

const pieceBytes = 64 * 1024;

async function pour(session: Session<Piece>, count: number): Promise<void> {
  for (let number = 0; number < count; number++) {
    session.send({ number, bytes: pieceBytes }, pieceBytes);
    await session.drained();
  }
}

interface Pumping {
  readonly count: number;
  readonly windowBytes: number;
  readonly connectionWindowBytes?: number;
  /** What happens when the dialer has so many pieces. */
  readonly at?: (count: number, relay: Relay) => void;
}

/** Pumps bulk both ways over one session through a relay. Resolves with how often the session found a link, once everything is there. */
async function pumpBothWays({ count, windowBytes, connectionWindowBytes, at }: Pumping): Promise<number> {
  const env = { clock: realTime(), random: seededRandom(7), log: silentLogger };
  const sizes = { windowBytes };
  const tuning = connectionWindowBytes === undefined ? {} : { tcpWindowBytes: connectionWindowBytes };
  const up = new Taken(count);
  let relay: Relay | undefined;
  const down = new Taken(count, (got) => relay !== undefined && at?.(got, relay));
  const acceptor = new SessionAcceptor<Piece, Piece>({
    env,
    serverId: "server",
    version,
    leaseMs: 15_000,
    heartbeatMs: 2_000,
    sizes,
    onSession: (session) => {
      void pour(session, count);
      return { entries: up.entries, ended: () => undefined };
    },
  });
  const server = createGrpcServer({
    log: silentLogger,
    descriptorSet,
    access: anyAccess,
    tokens: fixedToken(testToken),
    ...tuning,
  });
  const listening = keep(await server.listen("127.0.0.1:0", [streamRoute(method, acceptor.accept)]));
  relay = keep(await openRelay(listening.address));
  const client = keep(testClient(tuning));
  let links = 0;
  const session = dialSession<Piece, Piece>({
    env,
    client,
    method,
    address: relay.address,
    version,
    sizes,
    handler: { entries: down.entries, ended: () => undefined },
    onLink: (isUp) => {
      if (isUp) links++;
    },
  });
  keep({ [Symbol.asyncDispose]: () => session.close() });
  await Promise.all([pour(session, count), up.all(), down.all()]);
  const numbers = Array.from({ length: count }, (_, number) => number);
  expect(up.numbers).toEqual(numbers);
  expect(down.numbers).toEqual(numbers);
  return links;
}

test("a connection that stands still under bulk both ways is left for another: every entry arrives once, in order", async () => {
  const freezes = [40, 160, 300];
  const links = await pumpBothWays({
    count: 400,
    windowBytes: SESSION_WINDOW_BYTES,
    at: (got, relay) => {
      if (got < (freezes[0] ?? Number.POSITIVE_INFINITY)) return;
      freezes.shift();
      relay.freeze();
    },
  });
  expect(freezes).toEqual([]);
  expect(links).toBe(4);
});

test("what Node's http2 stalls on, bulk both ways through large windows, gets through all the same", {
  timeout: 60_000,
}, async () => {
  const windowBytes = 16 * 1024 * 1024;
  let links = 1;
  // mostly the first connection stalls; a round that met no stall shows nothing, however right what it delivered
  while (links === 1) links = await pumpBothWays({ count: 400, windowBytes, connectionWindowBytes: windowBytes });
});

test("bulk both ways through the windows that every build uses never needs a second connection", async () => {
  expect(await pumpBothWays({ count: 1_000, windowBytes: SESSION_WINDOW_BYTES })).toBe(1);
});
