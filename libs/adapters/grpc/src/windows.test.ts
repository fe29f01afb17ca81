import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect as connectHttp2, createServer, type Http2Session, type ServerHttp2Session } from "node:http2";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { streamRoute } from "@heddle/port-rpc";
import { afterEach, expect, test } from "vitest";
import { closeKept, keep, portOf, serve, streamMethod, testClient } from "./test-kit.ts";

afterEach(closeKept);

const mebibyte = 1024 * 1024;

/** Resolves once the peer lets this session send `bytes` at a time on a stream, and as many on the connection. */
async function windowsBecome(session: Http2Session, bytes: number): Promise<void> {
  while (session.remoteSettings.initialWindowSize !== bytes) await once(session, "remoteSettings");
  while ((session.state.remoteWindowSize ?? 0) !== bytes) await ping(session);
}

function ping(session: Http2Session): Promise<void> {
  return new Promise((resolve, reject) => session.ping((error) => (error === null ? resolve() : reject(error))));
}

test("a server lets its clients send 1 MiB at a time over TCP", async () => {
  const listening = await serve();
  const session = connectHttp2(`http://${listening.address}`);
  keep({ [Symbol.asyncDispose]: async () => session.destroy() });
  await windowsBecome(session, mebibyte);
});

test("a server lets its clients send 64 KiB at a time over a unix socket", async () => {
  const directory = mkdtempSync(join(tmpdir(), "heddle-windows-"));
  keep({ [Symbol.asyncDispose]: async () => rmSync(directory, { recursive: true }) });
  const path = join(directory, "a.sock");
  await serve(`unix:${path}`);
  const session = connectHttp2("http://localhost", { createConnection: () => connect(path) });
  keep({ [Symbol.asyncDispose]: async () => session.destroy() });
  await once(session, "remoteSettings");
  for (let pings = 0; pings < 3; pings++) await ping(session);
  expect(session.remoteSettings.initialWindowSize).toBe(65_535);
  expect(session.state.remoteWindowSize).toBe(65_535);
});

test.each(["tcp", "unix"])("a client lets its servers send as much over %s", async (kind) => {
  const directory = mkdtempSync(join(tmpdir(), "heddle-windows-"));
  keep({ [Symbol.asyncDispose]: async () => rmSync(directory, { recursive: true }) });
  const server = createServer();
  const path = join(directory, "a.sock");
  if (kind === "tcp") server.listen(0, "127.0.0.1");
  else server.listen(path);
  await once(server, "listening");
  const address = kind === "tcp" ? `127.0.0.1:${(server.address() as AddressInfo).port}` : `unix:${path}`;
  const client = testClient();
  const dialling = client.dial(streamMethod, address, new AbortController().signal);
  const [session] = (await once(server, "session")) as [ServerHttp2Session];
  await windowsBecome(session, kind === "tcp" ? mebibyte : 65_535);
  session.destroy();
  await expect(dialling).rejects.toMatchObject({ code: "unavailable" });
  await client[Symbol.asyncDispose]();
  server.close();
});

test("bulk both ways at once over one connection does not stall", async () => {
  const total = 64;
  const listening = await serve("127.0.0.1:0", [
    streamRoute(streamMethod, (link) => {
      void (async () => {
        for await (const message of link.incoming) if (!link.send(message)) await link.drained();
      })();
    }),
  ]);
  const client = keep(testClient());
  const link = await client.dial(streamMethod, listening.address, new AbortController().signal);
  const message = new Uint8Array(256 * 1024);
  const pumping = (async () => {
    for (let sent = 0; sent < total; sent++) if (!link.send(message)) await link.drained();
  })();
  let received = 0;
  for await (const echoed of link.incoming) {
    received += echoed.length;
    if (received === total * message.length) break;
  }
  await pumping;
  expect(link.receivedBytes).toBe(total * message.length);
});

test("a connection that never greets is dropped", { timeout: 10_000 }, async () => {
  const listening = await serve();
  const socket = connect(portOf(listening.address), "127.0.0.1");
  socket.resume();
  await once(socket, "close");
});
