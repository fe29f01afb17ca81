import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { type Link, streamRoute } from "@heddle/port-rpc";
import { afterEach, expect, test } from "vitest";
import { askMethod, closeKept, keep, portOf, serve, streamMethod, testClient } from "./test-kit.ts";
import { openRelay } from "./testing.ts";

afterEach(closeKept);

const signal = new AbortController().signal;

test("a dial to a server that takes the connection and says nothing is given up, and the next gets a new connection", async () => {
  const hole = await openRelay();
  const client = keep(testClient({ dialTimeoutMs: 500 }));
  const before = performance.now();
  await expect(client.dial(streamMethod, hole.address, signal)).rejects.toMatchObject({
    code: "unavailable",
    message: `/test.Server/Stream at ${hole.address}: no answer within 500 ms`,
  });
  expect(performance.now() - before).toBeLessThan(2_000);
  await hole[Symbol.asyncDispose]();
  const links: Link<Uint8Array, Uint8Array>[] = [];
  await serve(hole.address, [streamRoute(streamMethod, (link) => links.push(link))]);
  keep(await client.dial(streamMethod, hole.address, signal));
  expect(links.length).toBe(1);
});

test("a server that comes up after refused attempts is reached at once: gRPC's own backoff does not count", async () => {
  const listening = await serve();
  await listening[Symbol.asyncDispose]();
  const client = keep(testClient());
  for (let attempts = 0; attempts < 5; attempts++) {
    await expect(client.dial(streamMethod, listening.address, signal)).rejects.toMatchObject({ code: "unavailable" });
  }
  await serve(listening.address, [streamRoute(streamMethod, () => undefined)]);
  const link = keep(await client.dial(streamMethod, listening.address, signal));
  expect(link.peer).toBe(listening.address);
});

test("all streams to one address share one connection", async () => {
  const listening = await serve("127.0.0.1:0", [streamRoute(streamMethod, () => undefined)]);
  let count = 0;
  const counter = createServer((near) => {
    count++;
    const far = connect(portOf(listening.address), "127.0.0.1");
    near.on("error", () => far.destroy());
    far.on("error", () => near.destroy());
    near.pipe(far).pipe(near);
  }).listen(0, "127.0.0.1");
  await once(counter, "listening");
  const address = `127.0.0.1:${(counter.address() as AddressInfo).port}`;
  const client = testClient();
  for (let streams = 0; streams < 5; streams++) await client.dial(streamMethod, address, signal);
  expect(count).toBe(1);
  await client[Symbol.asyncDispose]();
  counter.close();
});

test("text that is no address is refused", async () => {
  const client = keep(testClient());
  await expect(client.dial(streamMethod, "nonsense", signal)).rejects.toMatchObject({ code: "invalid-argument" });
  const call = client.call(askMethod, "nonsense", new Uint8Array(), { timeoutMs: 1_000 });
  await expect(call).rejects.toMatchObject({ code: "invalid-argument" });
});

test("a client that is closed while it dials rejects the dial", async () => {
  const hole = keep(await openRelay());
  const client = testClient();
  const dialling = client.dial(streamMethod, hole.address, signal);
  const closing = client[Symbol.asyncDispose]();
  await expect(dialling).rejects.toMatchObject({ code: "unavailable" });
  await closing;
});

test("a connection that comes of age ends, and a stream dialled then goes over a new one", async () => {
  const links: Link<Uint8Array, Uint8Array>[] = [];
  const route = streamRoute(streamMethod, (link) => links.push(link));
  const listening = await serve("127.0.0.1:0", [route], { connectionAge: { ageMs: 50, graceMs: 50 } });
  const client = keep(testClient());
  const first = await client.dial(streamMethod, listening.address, signal);
  expect(await first.closed).toMatchObject({ reason: "broken", cause: { code: "unavailable" } });
  const second = keep(await client.dial(streamMethod, listening.address, signal));
  second.send(Uint8Array.of(1));
  for await (const message of links[1]?.incoming ?? []) {
    expect(message).toEqual(Uint8Array.of(1));
    break;
  }
});
