import { once } from "node:events";
import type { ClientHttp2Session } from "node:http2";
import { connect, type Socket } from "node:net";
import { MESSAGE_BYTES_MAX, seededRandom } from "@heddle/kernel";
import { type Link, type Listening, streamRoute, unaryRoute } from "@heddle/port-rpc";
import { afterEach, expect, test } from "vitest";
import { http2To as dialHttp2, framed, post, grpcHeaders as unproved } from "./test-http2.ts";
import { askMethod, closeKept, keep, portOf, proofHeader, serve, streamMethod, testClient } from "./test-kit.ts";

afterEach(closeKept);

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

interface Target {
  readonly listening: Listening;
  readonly links: Link<Uint8Array, Uint8Array>[];
}

async function target(): Promise<Target> {
  const links: Link<Uint8Array, Uint8Array>[] = [];
  const decoding = {
    ...askMethod,
    request: {
      ...askMethod.request,
      decode: (bytes: Uint8Array): Uint8Array => {
        if (bytes[0] === 0xff) throw new RangeError("unknown wire type 7");
        return bytes;
      },
    },
  };
  const listening = await serve("127.0.0.1:0", [
    streamRoute(streamMethod, (link) => {
      links.push(link);
      void echo(link);
    }),
    unaryRoute(decoding, async (request) => request),
  ]);
  return { listening, links };
}

async function echo(link: Link<Uint8Array, Uint8Array>): Promise<void> {
  for await (const message of link.incoming) link.send(message);
}

/** The server still does its work, for a peer that behaves. */
async function expectAlive({ listening }: Target): Promise<void> {
  const client = keep(testClient());
  const answer = await client.call(askMethod, listening.address, Uint8Array.of(1, 2, 3), { timeoutMs: 5_000 });
  expect(answer).toEqual(Uint8Array.of(1, 2, 3));
  const link = await client.dial(streamMethod, listening.address, new AbortController().signal);
  link.send(Uint8Array.of(7));
  for await (const message of link.incoming) {
    expect(message).toEqual(Uint8Array.of(7));
    break;
  }
  await link[Symbol.asyncDispose]();
}

async function rawSocket(at: Target): Promise<Socket> {
  const socket = connect(portOf(at.listening.address), "127.0.0.1");
  socket.on("error", () => undefined);
  await once(socket, "connect");
  return socket;
}

const http2To = (at: Target): Promise<ClientHttp2Session> => dialHttp2(at.listening.address);

const grpcHeaders = (path: string): { [name: string]: string } => ({ ...unproved(path), ...proofHeader(path) });

test.each<[string, Buffer]>([
  ["HTTP/1", Buffer.from("GET / HTTP/1.1\r\nhost: x\r\n\r\n")],
  ["bytes that are nothing", Buffer.alloc(4_096, 0xa5)],
  ["a preface and then garbage", Buffer.concat([preface, Buffer.alloc(4_096, 0xff)])],
  ["a preface and a settings frame cut short", Buffer.concat([preface, Buffer.from([0, 0, 6, 4, 0, 0, 0])])],
  [
    "headers on stream 0",
    Buffer.concat([preface, Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1, 1, 5, 0, 0, 0, 0, 0x82])]),
  ],
])("a connection that speaks %s does the server no harm", async (_what, bytes) => {
  const at = await target();
  const socket = await rawSocket(at);
  socket.resume();
  socket.end(bytes);
  await once(socket, "close");
  await expectAlive(at);
});

test("a connection cut in the middle of a message does the server no harm", async () => {
  const at = await target();
  const session = await http2To(at);
  const stream = session.request(grpcHeaders(streamMethod.path));
  stream.on("error", () => undefined);
  stream.write(framed(Buffer.alloc(10), 100_000));
  await once(stream, "response");
  session.destroy();
  expect((await at.links[0]?.closed)?.reason).toBe("broken");
  await expectAlive(at);
});

test("a stream that ends inside a message is over, and its neighbour is not", async () => {
  const at = await target();
  const session = await http2To(at);
  await post(session, grpcHeaders(streamMethod.path), framed(Buffer.alloc(10), 100));
  expect(await at.links[0]?.closed).toBeDefined();
  const got = await post(session, grpcHeaders(askMethod.path), framed(Uint8Array.of(1)));
  expect(got["grpc-status"]).toBe("0");
  await expectAlive(at);
});

test("a length prefix beyond the limit is refused before its bytes are read", async () => {
  const at = await target();
  const session = await http2To(at);
  const got = await post(session, grpcHeaders(streamMethod.path), framed(Buffer.alloc(10), MESSAGE_BYTES_MAX + 1));
  expect(got["grpc-status"]).toBe("8");
  expect(await at.links[0]?.closed).toBeDefined();
  const huge = await post(session, grpcHeaders(askMethod.path), framed(Buffer.alloc(10), 0xffff_ffff));
  expect(huge["grpc-status"]).toBe("8");
  await expectAlive(at);
});

test("a question that cannot be decoded is answered INVALID_ARGUMENT with the code protocol", async () => {
  const at = await target();
  const got = await post(await http2To(at), grpcHeaders(askMethod.path), framed(Uint8Array.of(0xff)));
  expect(got["grpc-status"]).toBe("3");
  expect(got["heddle-code"]).toBe("protocol");
  expect(decodeURI(String(got["grpc-message"]))).toContain("cannot be decoded: unknown wire type 7");
  await expectAlive(at);
});

test("a message that claims to be compressed and is not ends only its stream", async () => {
  const at = await target();
  const session = await http2To(at);
  const headers = { ...grpcHeaders(streamMethod.path), "grpc-encoding": "gzip" };
  const got = await post(session, headers, framed(Buffer.alloc(10, 0x5a), 10, 1));
  expect(got["grpc-status"]).toBe("13");
  await expectAlive(at);
});

test("what is not gRPC is refused as HTTP says, and unknown paths as gRPC says", async () => {
  const at = await target();
  const session = await http2To(at);
  expect((await post(session, { ":path": "/" }))[":status"]).toBe(415);
  expect((await post(session, { ...grpcHeaders(askMethod.path), "content-type": "text/html" }))[":status"]).toBe(415);
  expect((await post(session, grpcHeaders("/no.Such/Thing"), framed(Buffer.alloc(0))))["grpc-status"]).toBe("12");
  await expectAlive(at);
});

test.each(["abc", "99999999H", "-1S", ""])("a grpc-timeout of %j does the server no harm", async (timeout) => {
  const at = await target();
  const session = await http2To(at);
  const headers = { ...grpcHeaders(askMethod.path), "grpc-timeout": timeout };
  await post(session, headers, framed(Uint8Array.of(1)));
  await expectAlive(at);
});

test("random bytes on streams and questions never bring the server down", async () => {
  const at = await target();
  const session = await http2To(at);
  const random = seededRandom(11);
  for (let round = 0; round < 200; round++) {
    const body = Buffer.from(Array.from({ length: random.int(200) }, () => random.int(256)));
    const path = round % 2 === 0 ? askMethod.path : streamMethod.path;
    await post(session, grpcHeaders(path), round % 3 === 0 ? framed(body) : body);
  }
  await expectAlive(at);
});

test("a server allows 256 streams on one connection", async () => {
  const at = await target();
  const session = await http2To(at);
  while (session.remoteSettings.maxConcurrentStreams !== 256) await once(session, "remoteSettings");
  await expectAlive(at);
});
