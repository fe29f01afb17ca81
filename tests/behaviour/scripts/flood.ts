/** A hostile peer: does one thing far too often. When it is through it writes what came of that, a line of JSON. What it can do is in `floods`. */
import { readFileSync } from "node:fs";
import { connect as connectHttp2, type IncomingHttpHeaders } from "node:http2";
import { connect, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import { gzipSync } from "node:zlib";
import { frame, frames, headerBlock, ping, preface, request, settings } from "@heddle/adapter-grpc/testing";
import { MESSAGE_BYTES_MAX } from "@heddle/kernel";
import { tlsFilesIn } from "@heddle/port-rpc";
import { adminGetStatus, jobsRun } from "@heddle/wire";

const [kind = "", address = "", directory = "", given = "0"] = process.argv.slice(2);
const port = Number(address.split(":")[1]);
const total = Number(given);
const files = tlsFilesIn(directory);
const certificate = {
  ca: readFileSync(files.caFile),
  cert: readFileSync(files.certFile),
  key: readFileSync(files.keyFile),
};
const WATCH = "/grpc.health.v1.Health/Watch";

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => (socket.destroyed ? resolve() : socket.once("close", () => resolve())));
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A connection that is there; undefined when it was refused. */
function plain(): Promise<Socket | undefined> {
  const socket = connect(port, "127.0.0.1");
  return new Promise((resolve) => {
    socket.on("error", () => resolve(undefined)).once("connect", () => resolve(socket.resume()));
  });
}

/** A connection with a good certificate, that has greeted; undefined when it was refused. */
function secure(): Promise<Socket | undefined> {
  const socket = connectTls({ ...certificate, port, host: "127.0.0.1", ALPNProtocols: ["h2"] });
  return new Promise((resolve) => {
    socket.on("error", () => resolve(undefined)).once("close", () => resolve(undefined));
    socket.once("secureConnect", () => {
      socket.write(Buffer.concat([preface, settings]));
      resolve(socket);
    });
  });
}

/** Writes and waits until it has left, or the connection is over. */
function write(socket: Socket, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    if (socket.destroyed) return resolve();
    socket.once("close", () => resolve());
    socket.write(bytes, () => resolve());
  });
}

/** Runs `act` `count` times, so many at a time. */
async function often(count: number, atATime: number, act: (at: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) await act(next++);
  };
  await Promise.all(Array.from({ length: atATime }, lane));
}

/** Connections that say nothing, or `bytes` and then nothing. */
async function silent(bytes?: Buffer): Promise<object> {
  const ends: Promise<void>[] = [];
  let longestMs = 0;
  await often(total, 100, async () => {
    const socket = await plain();
    if (socket === undefined) return;
    const begunMs = performance.now();
    if (bytes !== undefined) socket.write(bytes);
    ends.push(
      closed(socket).then(() => {
        longestMs = Math.max(longestMs, performance.now() - begunMs);
      }),
    );
  });
  await Promise.all(ends);
  return { opened: ends.length, cut: ends.length, longestMs: Math.round(longestMs) };
}

/** What a client says first in a TLS handshake, whole. */
function clientHello(): Promise<Buffer> {
  return new Promise((resolve) => {
    const wire = new Duplex({ read: () => undefined, write: (bytes: Buffer) => resolve(bytes) });
    connectTls({ ...certificate, socket: wire, ALPNProtocols: ["h2"] }).on("error", () => undefined);
  });
}

/**
 * Sends frames made by `batch` over one connection after another, over each until it is cut, and begins no other when it has sent `total`. A batch counts
 * `size`. How many connections that takes is the server's speed; of one that is not cut at all it has had enough at ten times `total`.
 */
async function relentless(size: number, batch: (first: number) => Buffer): Promise<object> {
  let [sent, connections, cuts] = [0, 0, 0];
  while (sent < total) {
    const socket = await secure();
    if (socket === undefined) continue;
    connections++;
    for (let at = 0; sent < 10 * total && !socket.destroyed; at++) {
      await write(socket.resume(), batch(at * size));
      sent += size;
    }
    if (socket.destroyed) cuts++;
    socket.destroy();
  }
  return { sent, connections, cuts };
}

const many = (size: number, one: (at: number) => Buffer): Buffer =>
  Buffer.concat(Array.from({ length: size }, (_, at) => one(at)));
const odd = (at: number): number => 2 * at + 1;
const cancel = Buffer.from([0, 0, 0, 8]);

/** Streams that stay open, as many as one connection may have, over as many connections as it takes. What became of each is counted by its frames. */
async function streams(path: string, body?: Buffer): Promise<object> {
  const each = 256;
  const sockets: Socket[] = [];
  const statuses = new Map<string, number>();
  const rest = (stream: number): Buffer => (body === undefined ? Buffer.alloc(0) : frame(0, 1, stream, body));
  await often(Math.ceil(total / each), 4, async () => {
    const socket = await secure();
    if (socket === undefined) return;
    sockets.push(socket);
    let heard = 0;
    const all = Promise.withResolvers<void>();
    frames(socket, (type) => {
      const name = type === 1 ? "answered" : type === 3 ? "reset" : type === 7 ? "goaway" : undefined;
      if (name === undefined) return;
      statuses.set(name, (statuses.get(name) ?? 0) + 1);
      if (++heard >= each) all.resolve();
    });
    await write(
      socket,
      many(each, (at) => Buffer.concat([request(odd(at), path), rest(odd(at))])),
    );
    await Promise.race([all.promise, closed(socket), pause(10_000)]);
  });
  const open = sockets.filter(({ destroyed }) => !destroyed).length;
  return { connections: sockets.length, open, ...Object.fromEntries(statuses) };
}

/** Asks questions over one connection whose bodies come by a byte each second, for as long as the server lets them. How many it reset. */
async function trickleOver(socket: Socket, questions: number): Promise<number> {
  const alive = new Set(Array.from({ length: questions }, (_, at) => odd(at)));
  frames(socket, (type, stream) => {
    if (type === 3) alive.delete(stream);
  });
  await write(
    socket,
    many(questions, (at) => request(odd(at), adminGetStatus.path)),
  );
  const byte = Buffer.alloc(1);
  while (alive.size > 0 && !socket.destroyed) {
    await write(socket, Buffer.concat([...alive].map((stream) => frame(0, 0, stream, byte))));
    await Promise.race([closed(socket), pause(1_000)]);
  }
  socket.destroy();
  return questions - alive.size;
}

/** Questions that trickle until every one was reset. A connection may be cut among so many that say nothing: what it asked is asked again. */
async function trickle(): Promise<object> {
  const each = 256;
  let [resets, cuts] = [0, 0];
  await often(Math.ceil(total / each), total, async () => {
    for (let left = each; left > 0; ) {
      const socket = await secure();
      if (socket !== undefined) {
        const reset = await trickleOver(socket, left);
        left -= reset;
        resets += reset;
      }
      if (left > 0) cuts++;
    }
  });
  return { resets, cuts };
}

/** Messages that are small and say they are compressed, and would be of 256 MiB. */
async function bombs(): Promise<object> {
  const bomb = gzipSync(Buffer.alloc(256 * MESSAGE_BYTES_MAX));
  const head = Buffer.alloc(5);
  head.writeUInt8(1, 0);
  head.writeUInt32BE(bomb.length, 1);
  const statuses = new Map<string, number>();
  await often(total, 4, async (at) => {
    const session = connectHttp2(`https://${address}`, certificate);
    session.on("error", () => undefined);
    const path = at % 2 === 0 ? adminGetStatus.path : jobsRun.path;
    const stream = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      "grpc-encoding": "gzip",
    });
    let status = "none";
    for (const event of ["response", "trailers"] as const)
      stream.on(event, (headers: IncomingHttpHeaders) => {
        status = String(headers["grpc-status"] ?? status);
      });
    stream.on("error", () => undefined).resume();
    stream.write(head);
    stream.end(bomb);
    await new Promise<void>((resolve) => stream.once("close", () => resolve()));
    session.destroy();
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
  });
  return Object.fromEntries(statuses);
}

/** Headers of one request that go on and on. `total` is bytes. */
async function headers(): Promise<object> {
  const block = many(120, () => headerBlock({ "x-more": "y".repeat(120) }));
  const socket = await secure();
  if (socket === undefined) return { cut: false };
  socket.resume();
  await write(socket, frame(1, 0, 1, headerBlock({ ":method": "POST" })));
  let sent = 0;
  for (; sent < total && !socket.destroyed; sent += block.length) await write(socket, frame(9, 0, 1, block));
  await Promise.race([closed(socket), pause(2_000)]);
  return { cut: socket.destroyed, sent };
}

const floods: Readonly<Record<string, () => Promise<object>>> = {
  silent: () => silent(),
  "half-handshakes": async () => silent((await clientHello()).subarray(0, 40)),
  "unfinished-handshakes": async () => silent(await clientHello()),
  resets: () =>
    relentless(100, (first) =>
      many(100, (at) => Buffer.concat([request(odd(first + at), jobsRun.path), frame(3, 0, odd(first + at), cancel)])),
    ),
  pings: () => relentless(1_000, () => many(1_000, () => ping)),
  "streams-too-many": () => relentless(100, (first) => many(100, (at) => request(odd(first + at), WATCH))),
  streams: () => streams(WATCH, Buffer.alloc(5)),
  runs: () => streams(jobsRun.path),
  trickle,
  bombs,
  headers,
};
const flood = floods[kind];
if (flood === undefined) throw new Error(`no flood of ${kind}`);
process.stdout.write(`${JSON.stringify(await flood())}\n`);
process.exit(0);
