import { join } from "node:path";
import { silentLogger } from "@heddle/kernel";
import { type KeptLease, type LeaseTerms, leaseUntilMs } from "@heddle/port-rpc";
import { expect, test } from "vitest";
import { systemEnvironment } from "./environment.ts";
import { temporaryDirectory } from "./host.ts";
import { threadLeases } from "./lease-thread.ts";

const warned: string[] = [];
const env = { ...systemEnvironment(), log: { ...silentLogger, warn: (message: string) => void warned.push(message) } };
const leasesFor = threadLeases({ env, entry: new URL("./testing/lease-thread.ts", import.meta.url) });
const leases = leasesFor({});

const terms = (session: number, addresses: string[] = []): LeaseTerms => ({
  session,
  nonce: `nonce of ${session}`,
  ttlMs: 2_000,
  sinceMs: env.clock.nowMs(),
  addresses,
});

/** Holds this event loop until the lease reaches further than now. */
function blockUntilExtended(kept: KeptLease): void {
  const beforeMs = kept.validUntilMs();
  const deadlineMs = env.clock.nowMs() + 20_000;
  while (kept.validUntilMs() === beforeMs) if (env.clock.nowMs() > deadlineMs) throw new Error("it was not extended");
}

/** Resolves at the next word of the thread. */
function changed(kept: KeptLease): Promise<void> {
  return new Promise((resolve) => {
    const listening = kept.onChange(() => {
      listening[Symbol.dispose]();
      resolve();
    });
  });
}

test("a lease is extended, and the extension seen, while this event loop is blocked", async () => {
  const first = terms(1);
  using kept = leases.keep(first);
  expect(kept.validUntilMs()).toBeCloseTo(leaseUntilMs(first.sinceMs, 2_000), 3);
  await changed(kept); // the thread runs: a block at its start would hold up its modules
  blockUntilExtended(kept);
  blockUntilExtended(kept);
  const leftMs = kept.validUntilMs() - env.clock.nowMs();
  expect(leftMs).toBeGreaterThan(0);
  expect(leftMs).toBeLessThanOrEqual(1_000);
});

test("several sessions have one thread, and the end of one is not that of another", async () => {
  using other = leases.keep(terms(2));
  {
    using over = leases.keep(terms(14));
    await changed(over);
    expect([over.isOver, other.isOver]).toEqual([true, false]);
  }
  await changed(other);
  blockUntilExtended(other);
});

test("the beats of a session say its nonce", async () => {
  using kept = leasesFor({ token: "nonces" }).keep(terms(15));
  await changed(kept);
  expect(kept.trouble).toBe("it says nonce of 15");
});

test("sessions of the same credentials have one client, others one of their own, and one that has none left is closed", async () => {
  const [one, other] = [{ token: "one" }, { token: "other" }];
  using bystander = leases.keep(terms(4));
  using first = leasesFor(one).keep(terms(5));
  {
    using second = leasesFor({ ...one }).keep(terms(6));
    using third = leasesFor(other).keep(terms(7));
    await Promise.all([bystander, first, second, third].map(changed));
    expect([bystander, first, second, third].map(({ trouble }) => trouble)).toEqual([
      "client 1 with nothing",
      "client 2 with one",
      "client 2 with one",
      "client 3 with other",
    ]);
  }
  using again = leasesFor(other).keep(terms(8));
  await changed(again);
  expect(again.trouble).toBe("client 4 with other");
  await changed(first);
  expect(first.trouble).toBe("client 2 with one");
});

test("a thread that dies is started anew with all that it kept", async () => {
  using directory = temporaryDirectory("lease-thread-test-");
  using bystander = leases.keep(terms(3));
  using kept = leases.keep(terms(13, [join(directory.path, "ended")]));
  while (warned.length === 0) await changed(bystander);
  await Promise.all([changed(kept), changed(bystander)]);
  blockUntilExtended(kept);
  expect(warned).toEqual([expect.stringContaining("started anew")]);
});
