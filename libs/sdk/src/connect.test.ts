import { createServer, type Socket } from "node:net";
import { InvalidArgumentError, TimeoutError, UnavailableError } from "@heddle/kernel";
import { expect, onTestFinished, test, vi } from "vitest";
import { connect, sharedFabric } from "./connect.ts";
import { Manager } from "./index.ts";
import { Pool } from "./pool.ts";
import { remoteFabric } from "./remote.ts";

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
  expect((refused as Error).message).toMatch(`the coordinator at ${address} did not answer within 300 ms: `);
  expect((refused as Error).cause).toBeInstanceOf(TimeoutError);
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

test.each(["nonsense", "", "host:", "unix:", "http://host:7433"])(
  "%j, which cannot be an address, is refused at once wherever one is given",
  async (address) => {
    await using _embedded = sharedFabric(); // what is kept under no address is not what "" means
    const refusal = new InvalidArgumentError(
      address === "unix:"
        ? '"unix:" names no socket file'
        : `${JSON.stringify(address)} is not an address: say host:port, [v6]:port or unix:/path`,
    );
    expect(() => new Manager({ address })).toThrow(refusal);
    expect(() => new Pool({ address })).toThrow(refusal);
    await expect(connect(address)).rejects.toThrow(refusal);
  },
);

test("HEDDLE_ADDRESS that cannot be an address is named", async () => {
  vi.stubEnv("HEDDLE_ADDRESS", "nonsense");
  onTestFinished(() => void vi.unstubAllEnvs());
  const refusal = /^HEDDLE_ADDRESS: "nonsense" is not an address: say /;
  expect(() => new Pool()).toThrow(refusal);
  expect(() => sharedFabric()).toThrow(refusal);
  await expect(connect()).rejects.toThrow(refusal);
});

test("a manager says what to do where no coordinator answers", async () => {
  await using fabric = remoteFabric("127.0.0.1:1", { unavailableTimeoutMs: 300 });
  const refused = await fabric
    .manager()
    .connect()
    .catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(UnavailableError);
  expect((refused as Error).message).toBe(
    "the manager at 127.0.0.1:1 could not be reached for 300 ms: no coordinator answers at 127.0.0.1:1: " +
      'start one with "heddle up", or unset HEDDLE_ADDRESS to run on this machine',
  );
});

test("a job that is sought in the fabric embedded in this process is said to be sought there", async () => {
  await using fabric = await connect();
  const sought = fabric.attach("walks").get();
  await expect(sought).rejects.toThrow(
    /^no job walks is kept: .+; asked was the fabric embedded in this process, as neither connect\(\) nor HEDDLE_ADDRESS names another$/,
  );
});
