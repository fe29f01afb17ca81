import { once } from "node:events";
import { chmodSync, chownSync, mkdtempSync, rmSync } from "node:fs";
import {
  createServer as createHttp2Server,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import { type AddressInfo, connect, createServer } from "node:net";
import { hostname, networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { AuthenticationError, TimeoutError, UnavailableError } from "@heddle/kernel";
import { type Link, streamRoute, unaryRoute } from "@heddle/port-rpc";
import { afterEach, expect, test } from "vitest";
import { createGrpcClient, type GrpcClientOptions } from "./index.ts";
import { PROOF_KEY } from "./proof.ts";
import { askMethod, closeKept, keep, portOf, serve, streamMethod } from "./test-kit.ts";
import { testToken } from "./testing.ts";

afterEach(closeKept);

const signal = new AbortController().signal;
const question = Uint8Array.of(1, 2, 3);

/** A server of ours that counts what gets as far as its handlers. */
async function target() {
  const links: Link<Uint8Array, Uint8Array>[] = [];
  const listening = await serve("127.0.0.1:0", [
    streamRoute(streamMethod, (link) => links.push(link)),
    unaryRoute(askMethod, async (request) => request),
  ]);
  return { address: listening.address, links };
}

function clientWith(options: GrpcClientOptions) {
  const client = keep(createGrpcClient(options));
  return {
    dial: (address: string) => client.dial(streamMethod, address, signal),
    ask: (address: string) => client.call(askMethod, address, question, { timeoutMs: 5_000 }),
  };
}

interface Heard {
  readonly headers: IncomingHttpHeaders[];
  connections: number;
  /** What came after the headers. */
  bytes: number;
  /** All that came, as it came. */
  readonly raw: Buffer[];
}

/** Somebody else's server at a loopback address, which answers as it likes. */
async function intruder(answer: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void) {
  const heard: Heard = { headers: [], connections: 0, bytes: 0, raw: [] };
  const http2 = createHttp2Server();
  http2.on("stream", (stream, headers) => {
    heard.headers.push(headers);
    stream.on("error", () => undefined);
    stream.on("data", (bytes: Buffer) => {
      heard.bytes += bytes.length;
    });
    answer(stream, headers);
  });
  http2.on("session", (session) => session.on("error", () => undefined));
  const inner = http2.listen(0, "127.0.0.1");
  await once(inner, "listening");
  const outer = createServer((near) => {
    heard.connections++;
    const far = connect((inner.address() as AddressInfo).port, "127.0.0.1");
    near.on("data", (bytes) => heard.raw.push(bytes));
    near.on("error", () => far.destroy()).pipe(far);
    far.on("error", () => near.destroy()).pipe(near);
  }).listen(0, "127.0.0.1");
  await once(outer, "listening");
  keep({
    [Symbol.asyncDispose]: async () => {
      outer.close();
      inner.close();
    },
  });
  return { address: `127.0.0.1:${(outer.address() as AddressInfo).port}`, heard };
}

const grpc = { ":status": 200, "content-type": "application/grpc" };

/** Answers with `headers`, and with an answer of one byte. */
function answering(headers: (asked: IncomingHttpHeaders) => OutgoingHttpHeaders) {
  return (stream: ServerHttp2Stream, asked: IncomingHttpHeaders): void => {
    stream.respond({ ...grpc, ...headers(asked) }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": 0 }));
    stream.end(Buffer.from([0, 0, 0, 0, 1, 7]));
  };
}

/** The error that it rejects with. */
function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => expect.fail("it was not refused"),
    (error: unknown) => error,
  );
}

test("a client with the token opens streams and asks questions, and so does one that finds it by the address", async () => {
  const { address, links } = await target();
  const asked: string[] = [];
  const findToken = (at: string) => {
    asked.push(at);
    return testToken;
  };
  for (const options of [{ token: testToken }, { findToken }, { token: testToken, findToken: () => "another" }]) {
    const { dial, ask } = clientWith(options);
    await dial(address);
    expect(await ask(address)).toEqual(question);
  }
  expect(links.length).toBe(3);
  expect(asked).toEqual([address, address]);
});

test("localhost is 127.0.0.1, and its token is found by the name that was dialled", async () => {
  const { address } = await target();
  const name = `localhost:${portOf(address)}`;
  const { ask } = clientWith({ findToken: (at) => (at === name ? testToken : undefined) });
  expect(await ask(name)).toEqual(question);
});

test("a unix socket needs no token", async () => {
  const path = join(tmpdir(), `heddle-token-${process.pid}.sock`);
  await serve(`unix:${path}`, [unaryRoute(askMethod, async (request) => request)]);
  expect(await clientWith({ findToken: () => expect.fail("it was looked up") }).ask(`unix:${path}`)).toEqual(question);
});

test("a client without the token is refused and told where it was looked for and what to do", async () => {
  const { address, links } = await target();
  const { dial, ask } = clientWith({ findToken: () => undefined, tokenPlace: "/run/user/7/heddle/tokens" });
  for (const error of [await failure(dial(address)), await failure(ask(address))]) {
    expect(error).toBeInstanceOf(AuthenticationError);
    expect(error).toMatchObject({
      message:
        `the server at ${address} wants its token, and none was found in /run/user/7/heddle/tokens: ` +
        "`heddle token` shows it to the user who started the server; say it by HEDDLE_TOKEN or connect({ token })",
    });
  }
  expect(links.length).toBe(0);
});

test("a client with another token is refused", async () => {
  const { address, links } = await target();
  const given = clientWith({ token: "wrong", findToken: () => testToken });
  const found = clientWith({ findToken: () => "wrong" });
  for (const error of [await failure(given.dial(address)), await failure(given.ask(address))]) {
    expect(error).toMatchObject({
      name: "AuthenticationError",
      message: expect.stringContaining("refused the proof of the token that was given"),
    });
  }
  expect(await failure(found.ask(address))).toMatchObject({
    name: "AuthenticationError",
    message: expect.stringContaining("refused the proof of the token found"),
  });
  expect(links.length).toBe(0);
});

test("a refusal while the token was replaced is a matter of trying again, and the next attempt uses the new one", async () => {
  const { address } = await target();
  const tokens = ["old", testToken];
  const { ask } = clientWith({ findToken: () => tokens.shift() ?? testToken });
  expect(await failure(ask(address))).toBeInstanceOf(UnavailableError);
  expect(await ask(address)).toEqual(question);
  let looks = 0;
  const second = clientWith({ findToken: () => (++looks === 1 ? undefined : testToken) });
  expect(await failure(second.dial(address))).toBeInstanceOf(UnavailableError);
  await second.dial(address);
});

test.each<[string, (asked: IncomingHttpHeaders) => OutgoingHttpHeaders]>([
  ["proves nothing", () => ({})],
  ["gives back what it was sent", (asked) => ({ [PROOF_KEY]: asked[PROOF_KEY] })],
  ["gives back a piece of it", (asked) => ({ [PROOF_KEY]: `1.${String(asked[PROOF_KEY]).split(".")[3]}` })],
  ["sends rubbish", () => ({ [PROOF_KEY]: `1.${"A".repeat(43)}` })],
])("a server that %s is not believed, and learns neither token nor message", async (_what, headers) => {
  const { address, heard } = await intruder(answering(headers));
  const { dial, ask } = clientWith({ token: testToken });
  for (const error of [await failure(dial(address)), await failure(ask(address))]) {
    expect(error).toMatchObject({
      name: "AuthenticationError",
      message: `whoever listens at ${address} is not the server whose token is known: it could not prove that it knows it`,
    });
  }
  expect(heard.headers.length).toBe(2);
  expect(heard.bytes).toBeLessThanOrEqual(5 + question.length); // of the question; of the stream nothing
  expect(inspect(heard.headers, { depth: 9 })).not.toContain(testToken);
  expect(Buffer.concat(heard.raw).includes(testToken)).toBe(false);
});

test("a connection on which nobody has shown who it is is left after its first failure, whatever else waits on it", async () => {
  const { address, heard } = await intruder(() => undefined);
  const client = keep(createGrpcClient({ token: testToken, dialTimeoutMs: 60_000 }));
  const waiting = new AbortController();
  const waiter = failure(client.dial(streamMethod, address, waiting.signal));
  const ask = () => failure(client.call(askMethod, address, question, { timeoutMs: 100 }));
  for (let asked = 0; asked < 2; asked++) expect(await ask()).toBeInstanceOf(TimeoutError);
  expect(heard.connections).toBe(2); // the dial shares the first question's
  waiting.abort(new Error("enough"));
  await waiter;
});

test("a server that asks for nothing is not believed by a client that knows no token: anybody of this machine may listen there", async () => {
  const { address, heard } = await intruder(answering(() => ({})));
  const { dial, ask } = clientWith({ findToken: () => undefined });
  for (const error of [await failure(dial(address)), await failure(ask(address))]) {
    expect(error).toMatchObject({
      name: "AuthenticationError",
      message: expect.stringMatching(
        new RegExp(
          `^whoever listens at ${address} has not shown that it is a server of this user's: no token of it was found`,
        ),
      ),
    });
  }
  expect(heard.bytes).toBeLessThanOrEqual(5 + question.length); // of the question; of the stream nothing
});

test.skipIf(process.getuid?.() !== 0)("a socket that belongs to another user is not dialled", async () => {
  const directory = mkdtempSync(join(tmpdir(), "heddle-socket-"));
  chmodSync(directory, 0o755);
  keep({ [Symbol.asyncDispose]: async () => rmSync(directory, { recursive: true }) });
  const path = join(directory, "a.sock");
  await serve(`unix:${path}`, [unaryRoute(askMethod, async (request) => request)]);
  const { ask } = clientWith({});
  expect(await ask(`unix:${path}`)).toEqual(question); // root may
  chownSync(path, 65_533, 65_533);
  chmodSync(path, 0o777);
  process.seteuid?.(65_534);
  using _root = { [Symbol.dispose]: () => process.seteuid?.(0) };
  expect(await failure(clientWith({}).ask(`unix:${path}`))).toMatchObject({
    name: "AuthenticationError",
    message: `refusing to dial unix:${path}: the socket belongs to another user (uid 65533)`,
  });
  process.seteuid?.(0);
  chmodSync(directory, 0o700);
  process.seteuid?.(65_534);
  expect(await failure(clientWith({}).ask(`unix:${path}`))).toMatchObject({
    name: "PermissionError",
    message: `unix:${path} is in a directory that is closed to this user`,
  });
});

test("a socket file below what is no directory is nobody's", async () => {
  const failed = await failure(clientWith({}).ask(`unix:${process.execPath}/a.sock`));
  expect(failed).toMatchObject({ name: "UnavailableError", message: expect.stringContaining("ENOTDIR") });
});

test("a stream's first message waits until the server is believed", async () => {
  const { address, heard } = await intruder(() => undefined);
  const client = keep(createGrpcClient({ token: testToken, dialTimeoutMs: 200 }));
  expect(await failure(client.dial(streamMethod, address, signal))).toBeInstanceOf(UnavailableError);
  expect([heard.headers.length, heard.bytes]).toEqual([1, 0]);
});

test("what a server says of a call, other than that it refuses it, is believed only with its proof", async () => {
  const verdict = { "grpc-status": 5, "grpc-message": "no such job, run this: rm", "heddle-code": "not-found" };
  const { address } = await intruder((stream) => stream.respond({ ...grpc, ...verdict }, { endStream: true }));
  const { dial, ask } = clientWith({ token: testToken });
  for (const error of [await failure(dial(address)), await failure(ask(address))]) {
    expect(error).toBeInstanceOf(AuthenticationError);
    expect(String(error)).not.toContain("rm");
  }
});

test("what a stranger says as it refuses is not passed on", async () => {
  const refusal = { "grpc-status": 16, "grpc-message": "run this: rm", "heddle-code": "authentication" };
  const { address } = await intruder((stream) => stream.respond({ ...grpc, ...refusal }, { endStream: true }));
  for (const token of [testToken, undefined]) {
    const error = await failure(clientWith({ findToken: () => token }).ask(address));
    expect(error).toBeInstanceOf(AuthenticationError);
    expect(String(error)).not.toContain("rm");
  }
});

test("no error shows the token, however deep one looks", async () => {
  const { address } = await target();
  const other = await intruder(answering(() => ({})));
  const token = "a-token-of-another-server-altogether";
  const { dial, ask } = clientWith({ token });
  const errors = [
    await failure(dial(address)),
    await failure(ask(address)),
    await failure(dial(other.address)),
    await failure(ask(other.address)),
    await failure(ask("192.0.2.1:1")),
  ];
  for (const error of errors) {
    expect(inspect(error, { depth: Number.POSITIVE_INFINITY, showHidden: true })).not.toContain(token);
    expect((error as Error).stack).not.toContain(token);
  }
});

test("nothing leaves towards an address beyond loopback when there are no TLS files, token or not", async () => {
  const taken: string[] = [];
  const recorder = createServer((socket) => {
    taken.push(`${socket.localAddress}`);
    socket.destroy();
  }).listen(0, "0.0.0.0");
  await once(recorder, "listening");
  keep({ [Symbol.asyncDispose]: async () => void recorder.close() });
  const { port } = recorder.address() as AddressInfo;
  const own = Object.values(networkInterfaces())
    .flatMap((entries) => entries ?? [])
    .filter(({ family, internal }) => family === "IPv4" && !internal);
  // the first two reach this machine everywhere; so would the names, were they looked up
  const hosts = [
    "0.0.0.0",
    "[::ffff:127.0.0.1]",
    hostname(),
    "localhost.localdomain",
    ...own.map((one) => one.address),
  ];
  const named = [...hosts, "127.0.0.1.example.com", "127.999.1.1", "127.1", "2130706433", "[::]", "[fe80::1]"];
  for (const options of [{}, { token: testToken }]) {
    const { dial, ask } = clientWith({ ...options, findToken: () => expect.fail("a token was looked up") });
    for (const host of named) {
      for (const error of [await failure(dial(`${host}:${port}`)), await failure(ask(`${host}:${port}`))]) {
        expect(error).toMatchObject({
          name: "PermissionError",
          message: expect.stringMatching(/^refusing to dial .*`heddle certs init`.*--tls-dir/),
        });
      }
    }
  }
  const witness = connect(port, "0.0.0.0");
  await once(witness, "close");
  expect(taken).toEqual(["127.0.0.1"]); // the witness alone: the recorder was there to hear the others
});
