import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type ClientHttp2Session, type ClientHttp2Stream, constants } from "node:http2";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { deflateSync, gzipSync } from "node:zlib";
import { MESSAGE_BYTES_MAX } from "@heddle/kernel";
import { type Listening, streamRoute, unaryRoute } from "@heddle/port-rpc";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import type { GrpcServerOptions } from "./index.ts";
import {
  CONTROL_FRAMES_MAX,
  HEADER_BYTES_MAX,
  HEADER_PAIRS_MAX,
  REFUSALS_MAX,
  RESET_BURST,
  STRANGER_STREAMS_MAX,
  STREAMS_MAX,
} from "./limits.ts";
import type { ServerLimits } from "./options.ts";
import { openAuthority } from "./test-certificates.ts";
import { frame, headerBlock, nextFrame, ping, preface, request, settings } from "./test-frames.ts";
import { framed, http2To, post, grpcHeaders as unproved } from "./test-http2.ts";
import { askMethod, closeKept, keep, portOf, proofHeader, serve, streamMethod, testClient } from "./test-kit.ts";
import { type KeptLog, keptLog } from "./test-log.ts";

const authority = openAuthority();
afterAll(() => authority[Symbol.dispose]());
const here = authority.issue("coordinator", "here");
const aliceFiles = authority.issue("client", "alice");
const optionsOf = (files: typeof aliceFiles) => ({
  ca: readFileSync(files.caFile),
  cert: readFileSync(files.certFile),
  key: readFileSync(files.keyFile),
});

let log: KeptLog = keptLog();
let answered = 0;
beforeEach(() => {
  log = keptLog();
  answered = 0;
});
afterEach(closeKept);

/** Answers a question with as many bytes as its first byte says, in units of 64 KiB. */
function target(limits: Partial<ServerLimits> = {}, options: Partial<GrpcServerOptions> = {}): Promise<Listening> {
  const routes = [
    streamRoute(streamMethod, () => undefined),
    unaryRoute(askMethod, async (request) => {
      answered++;
      return new Uint8Array((request[0] ?? 0) * 64 * 1024);
    }),
  ];
  return serve("127.0.0.1:0", routes, { log: log.logger, limits, ...options });
}

const proved = (path: string) => ({ ...unproved(path), ...proofHeader(path) });
const question = framed(Uint8Array.of(0));

/** The server still does its work, for somebody else. */
async function expectAlive({ address }: Listening): Promise<void> {
  const client = keep(testClient());
  expect(await client.call(askMethod, address, Uint8Array.of(0), { timeoutMs: 5_000 })).toEqual(new Uint8Array());
}

async function socketTo({ address }: Listening): Promise<Socket> {
  const socket = connect(portOf(address), "127.0.0.1");
  socket.on("error", () => undefined).resume();
  keep({ [Symbol.asyncDispose]: async () => void socket.destroy() });
  await once(socket, "connect");
  return socket;
}

function over(thing: Socket | ClientHttp2Session): Promise<void> {
  return new Promise((resolve) => (thing.destroyed ? resolve() : thing.once("close", () => resolve())));
}

const reasons = (): string[] => log.of("refused").map(({ why }) => String(why));

describe("those who are silent", () => {
  const limits = { greetingTimeoutMs: 150, handshakeTimeoutMs: 150 };

  test("are cut after the time to greet, whether they have said nothing or half of it", async () => {
    const at = await target(limits);
    const prober = await http2To(at.address);
    const check = () => post(prober, unproved("/grpc.health.v1.Health/Check"), framed(Buffer.alloc(0)));
    expect((await check())["grpc-status"]).toBe("0");
    const begun = await socketTo(at);
    begun.write(preface);
    const before = performance.now();
    await Promise.all([over(await socketTo(at)), over(begun)]);
    expect(performance.now() - before).toBeLessThan(4_000);
    expect(reasons()).toEqual(Array(2).fill("it has not greeted in time (GREETING_TIMEOUT_MS)"));
    expect((await check())["grpc-status"]).toBe("0"); // it has greeted, and may stay
    await expectAlive(at);
  });

  test("are cut before their TLS handshake, in the midst of it and after it", async () => {
    const at = await target(limits, { tls: here });
    const half = await socketTo(at);
    half.write(Buffer.from([22, 3, 1, 2, 0, 1, 0]));
    const done = connectTls({
      ...optionsOf(aliceFiles),
      host: "127.0.0.1",
      port: portOf(at.address),
      ALPNProtocols: ["h2"],
    });
    done.on("error", () => undefined).resume();
    await once(done, "secureConnect");
    await Promise.all([over(await socketTo(at)), over(half), over(done)]);
    const session = await http2To(at.address, optionsOf(aliceFiles));
    expect((await post(session, unproved(askMethod.path), question))["grpc-status"]).toBe("0");
  });

  test("lock nobody out: the oldest goes when one more comes", async () => {
    const at = await target({ strangersMax: 10 });
    const silent: Socket[] = [];
    for (let count = 0; count < 10; count++) silent.push(await socketTo(at));
    const health = await http2To(at.address);
    const check = await post(health, unproved("/grpc.health.v1.Health/Check"), framed(Buffer.alloc(0)));
    expect(check["grpc-status"]).toBe("0");
    await over(silent[0] as Socket);
    for (let count = 0; count < 30; count++) {
      silent.push(await socketTo(at));
      await expectAlive(at);
    }
    await over(health); // it has greeted, and proved nothing
    expect(silent.filter(({ destroyed }) => !destroyed).length).toBeLessThanOrEqual(10);
    expect(reasons()).toContain("10 connections that came later have shown nothing either (STRANGERS_MAX)");
  });

  test("take the place of none who has proved that it knows the token, or shown its certificate", async () => {
    const [token, tls] = [await target({ strangersMax: 3 }), await target({ strangersMax: 3 }, { tls: here })];
    const provedSession = await http2To(token.address);
    await post(provedSession, proved(askMethod.path), question);
    const certified = await http2To(tls.address, optionsOf(aliceFiles));
    await post(certified, unproved(askMethod.path), question);
    const silent: Socket[] = [];
    for (let count = 0; count < 8; count++) silent.push(await socketTo(token), await socketTo(tls));
    await Promise.all(silent.slice(0, 10).map(over));
    expect((await post(provedSession, proved(askMethod.path), question))["grpc-status"]).toBe("0");
    expect((await post(certified, unproved(askMethod.path), question))["grpc-status"]).toBe("0");
  });
});

test("one identity has its share of the connections, and others the rest", async () => {
  const at = await target({ callerConnectionsMax: 3 }, { tls: here });
  const alice = optionsOf(aliceFiles);
  const sessions: ClientHttp2Session[] = [];
  for (let count = 0; count < 3; count++) sessions.push(await http2To(at.address, alice));
  await over(await http2To(at.address, alice));
  expect(reasons()).toEqual(["it has 3 connections already (CALLER_CONNECTIONS_MAX)"]);
  const bob = await http2To(at.address, optionsOf(authority.issue("client", "bob")));
  expect((await post(bob, unproved(askMethod.path), question))["grpc-status"]).toBe("0");
  sessions[0]?.destroy();
  await over(sessions[0] as ClientHttp2Session);
  let status: unknown;
  while (status !== "0")
    status = (await post(await http2To(at.address, alice), unproved(askMethod.path), question))["grpc-status"];
  expect((await post(sessions[1] as ClientHttp2Session, unproved(askMethod.path), question))["grpc-status"]).toBe("0");
});

test("one identity has its share of the requests under way, over all its connections, and others theirs", async () => {
  const at = await target({ callerStreamsMax: 3 }, { tls: here });
  const open = async (files: typeof aliceFiles) => {
    const session = await http2To(at.address, optionsOf(files));
    const stream = session.request(unproved(streamMethod.path)).on("error", () => undefined);
    const [headers] = await once(stream.resume(), "response");
    return { stream, status: headers["grpc-status"] };
  };
  const first = await open(aliceFiles);
  await open(aliceFiles);
  await open(aliceFiles);
  expect((await open(aliceFiles)).status).toBe("8");
  const why = 'client "alice" has 3 requests under way: CALLER_STREAMS_MAX is 3';
  expect(log.of("refused")).toMatchObject([{ who: 'client "alice"', path: streamMethod.path, why }]);
  expect((await open(authority.issue("client", "bob"))).status).toBeUndefined();
  first.stream.close(constants.NGHTTP2_CANCEL);
  let status: unknown = "8";
  while (status !== undefined) status = (await open(aliceFiles)).status; // the server has yet to hear of it
});

test("a connection that has proved nothing has few requests about health under way, and may have others when those are over", async () => {
  const { address } = await target();
  const session = await http2To(address);
  const watch = async (): Promise<{ readonly stream: ClientHttp2Stream; readonly status: unknown }> => {
    const stream = session.request(unproved("/grpc.health.v1.Health/Watch")).on("error", () => undefined);
    stream.end(framed(Buffer.alloc(0)));
    const [headers] = await once(stream.resume(), "response");
    return { stream, status: headers["grpc-status"] };
  };
  const first = await watch();
  for (let count = 1; count < STRANGER_STREAMS_MAX; count++) expect((await watch()).status).toBeUndefined();
  expect((await watch()).status).toBe("8");
  first.stream.close(constants.NGHTTP2_CANCEL);
  let status: unknown = "8";
  while (status !== undefined) status = (await watch()).status; // the server has yet to hear of it
  expect((await post(session, proved(askMethod.path), question))["grpc-status"]).toBe("0");
});

test("connections beyond what a server bears are dropped, and logged", async () => {
  const at = await target({ connectionsMax: 2 });
  await Promise.all([http2To(at.address), http2To(at.address)]);
  await over(await socketTo(at));
  expect(reasons()).toEqual(["the server has 2 connections (CONNECTIONS_MAX)"]);
});

describe("a connection is dropped that", () => {
  test.each([
    ["pings", ping],
    ["settings", settings],
  ])("sends %s without end", async (_what, bytes) => {
    const at = await target();
    const socket = await socketTo(at);
    socket.write(Buffer.concat([preface, settings, ...Array<Buffer>(CONTROL_FRAMES_MAX + 1).fill(bytes)]));
    await over(socket);
    expect(reasons()).toEqual([`more than ${CONTROL_FRAMES_MAX} pings and settings within 10000 ms`]);
    await expectAlive(at);
  });

  test("asks again and again for what it is refused", async () => {
    const at = await target();
    const session = await http2To(at.address);
    for (let count = 0; count <= REFUSALS_MAX; count++) await post(session, unproved(askMethod.path), question);
    await over(session);
    expect(reasons().at(-1)).toContain("no proof of the token");
    await expectAlive(at);
    expect(answered).toBe(1);
  });

  test("opens requests and resets them at speed", async () => {
    const at = await target();
    const socket = await socketTo(at);
    socket.write(Buffer.concat([preface, settings]));
    const cancel = Buffer.from([0, 0, 0, 8]);
    for (let stream = 1; stream < 2 * (3 * RESET_BURST) && !socket.destroyed; stream += 2) {
      socket.write(Buffer.concat([request(stream, "/grpc.health.v1.Health/Watch"), frame(3, 0, stream, cancel)]));
    }
    await over(socket);
    await expectAlive(at);
  });

  test("opens more streams than it may, again and again", async () => {
    const at = await target();
    const socket = await socketTo(at);
    socket.write(Buffer.concat([preface, settings]));
    for (let stream = 1; stream < 2 * (4 * STREAMS_MAX) && !socket.destroyed; stream += 2) {
      socket.write(request(stream, "/grpc.health.v1.Health/Watch"));
    }
    await over(socket);
    await expectAlive(at);
  });

  test("goes on with one request's headers without end", async () => {
    const at = await target();
    const socket = await socketTo(at);
    const block = headerBlock({ "x-more": "y".repeat(100) });
    socket.write(Buffer.concat([preface, settings, frame(1, 0, 1, headerBlock({ ":method": "POST" }))]));
    for (let count = 0; count < 2_000 && !socket.destroyed; count++) socket.write(frame(9, 0, 1, block));
    await over(socket);
    await expectAlive(at);
  });
});

test.each([
  ["more pairs", Object.fromEntries(Array.from({ length: HEADER_PAIRS_MAX }, (_, at) => [`x-${at}`, "y"]))],
  ["more bytes", { "x-long": "y".repeat(HEADER_BYTES_MAX) }],
])("a request whose headers have %s than they may is reset before anyone sees it", async (_what, more) => {
  const at = await target();
  const session = await http2To(at.address);
  await post(session, proved("/grpc.health.v1.Health/Check"), framed(Buffer.alloc(0))); // settings are agreed by now
  const got = await post(session, { ...proved(askMethod.path), ...more }, question);
  expect(got["grpc-status"]).toBeUndefined();
  expect(answered).toBe(0);
  const small = { ...proved(askMethod.path), "x-long": "y".repeat(HEADER_BYTES_MAX / 2) };
  expect((await post(session, small, question))["grpc-status"]).toBe("0");
});

describe("a question is cut", () => {
  test("when it does not come whole in time", async () => {
    const at = await target({ questionTimeoutMs: 100 });
    const session = await http2To(at.address);
    const stream = session.request(proved(askMethod.path));
    stream.on("error", () => undefined).resume();
    stream.write(question.subarray(0, 3));
    await once(stream, "close");
    expect(stream.rstCode).toBe(constants.NGHTTP2_CANCEL);
    expect(answered).toBe(0);
    await expectAlive(at);
  });

  test("when its answer is not taken in time", async () => {
    const at = await target({ questionTimeoutMs: 100 });
    const socket = await socketTo(at);
    const body = frame(0, 1, 1, framed(Uint8Array.of(8))); // END_STREAM
    const reset = nextFrame(socket, 3);
    socket.write(Buffer.concat([preface, settings, request(1, askMethod.path, proofHeader(askMethod.path)), body]));
    expect(await reset).toEqual(Buffer.from([0, 0, 0, constants.NGHTTP2_CANCEL])); // the answer is larger than the window, which stays
    expect(answered).toBe(1);
    await expectAlive(at);
  });

  test("not while it is answered, and not when both are quick", async () => {
    const slow = Promise.withResolvers<void>();
    const route = unaryRoute(askMethod, async (asked) => {
      await slow.promise;
      return asked;
    });
    const { address } = await serve("127.0.0.1:0", [route], { limits: { questionTimeoutMs: 50 } });
    const session = await http2To(address);
    const answer = post(session, proved(askMethod.path), question);
    setTimeout(slow.resolve, 200);
    expect((await answer)["grpc-status"]).toBe("0");
  });
});

test.each(["gzip", "deflate"])(
  "a message that %s makes larger than it may be ends its stream, and memory stays as it is",
  async (encoding) => {
    const at = await target();
    const session = await http2To(at.address);
    const zeros = Buffer.alloc(256 * MESSAGE_BYTES_MAX);
    const bomb = encoding === "gzip" ? gzipSync(zeros) : deflateSync(zeros);
    expect(bomb.length).toBeLessThan(MESSAGE_BYTES_MAX);
    const before = process.memoryUsage().rss;
    const headers = { ...proved(askMethod.path), "grpc-encoding": encoding };
    const got = await post(session, headers, framed(bomb, bomb.length, 1));
    expect(got["grpc-status"]).toBe("8");
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * MESSAGE_BYTES_MAX);
    expect(answered).toBe(0);
    await expectAlive(at);
  },
);

test("connections that are silent do not hold up a server that stops", async () => {
  const at = await target({}, { tls: here });
  const silent = await socketTo(at);
  await at[Symbol.asyncDispose]();
  await over(silent);
});
