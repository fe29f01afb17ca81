import { openAuthority } from "@heddle/adapter-grpc/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { whyNoNetwork } from "../../harness/private-network.ts";
import { eventually } from "../../harness/waiting.ts";
import { FloodedFabric, type Footprint } from "./flooded-fabric.ts";

const MEBIBYTE = 1024 * 1024;
const GROWTH_BYTES_MAX = 200 * MEBIBYTE;
const servers = ["coordinator", "manager"] as const;

/** How much a test takes on a machine that has other things to do. */
const PATIENCE_MS = 240_000;

describe("S12: while hostile peers with a good certificate or none do their worst, the honest are served:", () => {
  const scope = new AsyncDisposableStack();
  const before = new Map<string, Footprint>();
  const peaks = new Map<string, number>();
  let fabric: FloodedFabric;

  beforeAll(async () => {
    if (whyNoNetwork !== undefined) return;
    const authority = openAuthority();
    scope.defer(() => authority[Symbol.dispose]());
    fabric = scope.use(await FloodedFabric.start(authority));
    await eventually("the honest one is at it", async () => (await fabric.report()).connects.count > 0 || undefined);
    for (const server of servers) before.set(server, fabric.footprint(server));
    const look = setInterval(() => {
      for (const server of servers) {
        const { residentBytes } = fabric.footprint(server);
        peaks.set(server, Math.max(peaks.get(server) ?? 0, residentBytes));
      }
    }, 50);
    scope.defer(() => clearInterval(look));
  }, PATIENCE_MS);
  afterAll(() => scope.disposeAsync(), 30_000);
  beforeEach((context) => {
    if (whyNoNetwork !== undefined) context.skip(whyNoNetwork);
  });

  /** Since it was asked last: each question was answered within its timeout, maps and writes went on, and new connections were taken. */
  async function expectServed(): Promise<void> {
    const { failures, ...acts } = await fabric.report();
    expect(failures).toEqual([]);
    for (const [name, { count, medianMs }] of Object.entries(acts)) {
      expect([name, count > 0]).toEqual([name, true]);
      expect([name, medianMs < 1_000]).toEqual([name, true]);
    }
  }

  /** Runs an attack, which makes its server take little more memory than before. What it hoards it may keep for its session's lease. */
  async function attack(...what: Parameters<FloodedFabric["attack"]>): Promise<Record<string, number>> {
    const [, kind, server] = what;
    const { residentBytes } = fabric.footprint(server);
    peaks.set(server, residentBytes);
    const result = await fabric.attack(...what);
    const growth = (peaks.get(server) ?? 0) - residentBytes;
    expect([kind, growth < GROWTH_BYTES_MAX, growth]).toEqual([kind, true, growth]);
    return result;
  }

  /** An attacker that has sent so many frames, over as many connections as it took, had each of them cut. */
  function expectCut({ sent, connections, cuts }: Record<string, number>, total: number): void {
    expect(sent).toBeGreaterThanOrEqual(total);
    expect(cuts).toBeGreaterThanOrEqual(1);
    expect(cuts).toBe(connections);
  }

  test(
    "5,000 connections that say nothing, 500 handshakes that are not finished, 1,024 questions by a byte each second",
    async () => {
      const [silent, begun, unfinished, trickle] = await Promise.all([
        attack("flood", "silent", "coordinator", 5_000),
        attack("flood", "half-handshakes", "coordinator", 250),
        attack("flood", "unfinished-handshakes", "manager", 250),
        attack("flood", "trickle", "coordinator", 1_024),
      ]);
      expect(silent).toMatchObject({ opened: 5_000, cut: 5_000 });
      expect(begun).toMatchObject({ opened: 250, cut: 250 });
      expect(unfinished).toMatchObject({ opened: 250, cut: 250 });
      expect(trickle).toMatchObject({ resets: 1_024 });
      await expectServed();
    },
    PATIENCE_MS,
  );

  test(
    "10,000 requests that are reset, 100,000 pings, headers of 64 MiB, and messages that would be of 256 MiB",
    async () => {
      expectCut(await attack("flood", "resets", "coordinator", 10_000), 10_000);
      expectCut(await attack("flood", "pings", "manager", 100_000), 100_000);
      const headers = await attack("flood", "headers", "coordinator", 64 * MEBIBYTE);
      expect(headers.cut).toBe(true);
      expect(headers.sent).toBeLessThan(16 * MEBIBYTE);
      const bombs = await attack("flood", "bombs", "coordinator", 20);
      expect(bombs).toEqual({ 8: 20 }); // RESOURCE_EXHAUSTED
      await expectServed();
    },
    PATIENCE_MS,
  );

  test(
    "100,000 streams, as many to a connection as there may be, and connections with more than that",
    async () => {
      const streams = await attack("flood", "streams", "coordinator", 100_000);
      expect(streams.connections).toBe(391);
      expect(streams.open).toBeLessThanOrEqual(18); // 18 times 256 is CALLER_STREAMS_MAX
      expectCut(await attack("flood", "streams-too-many", "coordinator", 20_000), 20_000);
      await expectServed();
    },
    PATIENCE_MS,
  );

  test(
    "800 clients of one identity, which has 500, and 100,000 sessions, locks and watches, which is told by name what it has too many of",
    async () => {
      const [clients] = await Promise.all([
        attack("hoard", "clients", "coordinator", 800),
        (async () => {
          const locks = await attack("hoard", "locks", "manager", 100_000);
          expect(locks.done).toBe(100_000); // half of them are made, and half of them held
          expect(locks["limit SESSION_OBJECTS_MAX"]).toBeGreaterThan(0);
          expect(Object.values(locks).reduce((sum, each) => sum + each)).toBe(200_000);
          const watches = await attack("hoard", "watches", "manager", 100_000);
          expect(watches).toEqual({ done: 1, "limit SESSION_WATCHERS_MAX": 95_000 }); // 5,000 wait
          const sessions = await attack("hoard", "sessions", "manager", 100_000);
          for (const [what, count] of Object.entries(sessions))
            if (what !== "sessionOpened") expect([what, count]).toEqual([expect.stringContaining("limit"), 10]);
        })(),
      ]);
      const [served, [refusal = "", refused] = []] = [
        clients.served,
        Object.entries(clients).find(([name]) => name !== "served"),
      ];
      expect([served, refused]).toEqual([500, 300]);
      expect(refusal).toContain("CALLER_CLIENTS_MAX is 500");
      await expectServed();
    },
    PATIENCE_MS,
  );

  test(
    "afterwards all is as before, and no file or socket is left open",
    async () => {
      for (const server of servers) {
        const { openFiles = 0 } = before.get(server) ?? {};
        await eventually(`the ${server} has closed what it had open`, () => {
          return fabric.footprint(server).openFiles <= openFiles + 2 || undefined; // the honest one is just connecting
        });
        expect(fabric.program(server).said).not.toContain("defect");
      }
      for (let round = 0; round < 3; round++)
        await eventually("the honest one goes on", async () => {
          const { failures, connects, maps } = await fabric.report();
          expect(failures).toEqual([]);
          return (connects.count > 0 && maps.count > 0) || undefined;
        });
    },
    PATIENCE_MS,
  );
});
