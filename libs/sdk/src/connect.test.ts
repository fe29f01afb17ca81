import { createServer, type Socket } from "node:net";
import { UnavailableError } from "@heddle/kernel";
import { expect, onTestFinished, test } from "vitest";
import { connect } from "./connect.ts";

/** A server that takes connections and never says a word. */
async function muteServer(): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  return typeof address === "object" && address !== null ? `127.0.0.1:${address.port}` : "";
}

test("connect gives up a server that says nothing when its own time is over, as unavailable", async () => {
  const address = await muteServer();
  const begunMs = performance.now();
  const refused = await connect(address, { timeoutMs: 300 }).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(UnavailableError);
  expect((refused as Error).message).toContain(address);
  expect(performance.now() - begunMs).toBeLessThan(5_000);
});

test("connect says why nobody answers", async () => {
  const refused = await connect("127.0.0.1:1", { timeoutMs: 100 }).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(UnavailableError);
  expect((refused as Error).message).toBe(
    'no coordinator answers at 127.0.0.1:1: start one with "heddle up", or unset HEDDLE_ADDRESS to run on this machine',
  );
  expect((refused as Error).cause).toBeInstanceOf(UnavailableError);
});
