import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { silentLogger } from "@heddle/kernel";
import { type KeptLease, type LeaseKeeper, type LeaseTerms, leaseUntilMs } from "@heddle/port-rpc";
import { expect, test } from "vitest";
import { systemEnvironment } from "./environment.ts";
import { temporaryDirectory } from "./host.ts";
import { threadLeases } from "./lease-thread.ts";

const warned: string[] = [];
const env = { ...systemEnvironment(), log: { ...silentLogger, warn: (message: string) => void warned.push(message) } };
const leasesFor = threadLeases({ env, entry: new URL("./testing/lease-thread.ts", import.meta.url) });

/** Keeps sessions by this event loop, each once for so long, and says which it keeps. */
class Meanwhile implements LeaseKeeper {
  readonly #ms: number;
  readonly keeps = new Set<number>();
  /** Resolves when one is begun. */
  readonly begun = Promise.withResolvers<void>();

  constructor(ms = 3_600_000) {
    this.#ms = ms;
  }

  keep({ session, sinceMs, ttlMs }: LeaseTerms): KeptLease {
    this.keeps.add(session);
    this.begun.resolve();
    let untilMs = leaseUntilMs(sinceMs, ttlMs);
    const listeners = new Set<() => void>();
    setImmediate(() => {
      untilMs = env.clock.nowMs() + this.#ms;
      for (const listen of listeners) listen();
    });
    return {
      validUntilMs: () => untilMs,
      isOver: false,
      onChange: (listen) => {
        listeners.add(listen);
        return { [Symbol.dispose]: () => void listeners.delete(listen) };
      },
      [Symbol.dispose]: () => void this.keeps.delete(session),
    };
  }
}

const leases = leasesFor({}, new Meanwhile(1_500));

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

/** Resolves when the thread has spoken of it: it always has some trouble. */
async function heardOf(kept: KeptLease): Promise<void> {
  while (kept.trouble === undefined) await changed(kept);
}

test("a lease is extended, and the extension seen, while this event loop is blocked", async () => {
  const first = terms(1);
  using kept = leases.keep(first);
  expect(kept.validUntilMs()).toBeCloseTo(leaseUntilMs(first.sinceMs, 2_000), 3);
  await heardOf(kept); // the thread runs: a block at its start would hold up its modules
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
    await heardOf(over);
    expect([over.isOver, other.isOver]).toEqual([true, false]);
  }
  await heardOf(other);
  blockUntilExtended(other);
});

test("the beats of a session say its nonce", async () => {
  using kept = leasesFor({ token: "nonces" }, new Meanwhile()).keep(terms(15));
  await heardOf(kept);
  expect(kept.trouble).toBe("it says nonce of 15");
});

test("sessions of the same credentials have one client, others one of their own, and one that has none left is closed", async () => {
  const [one, other] = [{ token: "one" }, { token: "other" }];
  using bystander = leases.keep(terms(4));
  using first = leasesFor(one, new Meanwhile()).keep(terms(5));
  {
    using second = leasesFor({ ...one }, new Meanwhile()).keep(terms(6));
    using third = leasesFor(other, new Meanwhile()).keep(terms(7));
    await Promise.all([bystander, first, second, third].map(heardOf));
    expect([bystander, first, second, third].map(({ trouble }) => trouble)).toEqual([
      "client 1 with nothing",
      "client 2 with one",
      "client 2 with one",
      "client 3 with other",
    ]);
  }
  using again = leasesFor(other, new Meanwhile()).keep(terms(8));
  await heardOf(again);
  expect(again.trouble).toBe("client 4 with other");
  await changed(first);
  expect(first.trouble).toBe("client 2 with one");
});

test("a lease is kept by this event loop where the thread takes long to begin, and no longer", async () => {
  using directory = temporaryDirectory("late-thread-test-");
  const mark = join(directory.path, "go");
  process.env.LATE_THREAD_MARK = mark; // threads have a copy of the environment
  const late = threadLeases({ env, entry: new URL("./testing/late-lease-thread.ts", import.meta.url) });
  const meanwhile = new Meanwhile();
  const asked = { ...terms(21), ttlMs: 400 };
  using kept = late({}, meanwhile).keep(asked);
  await meanwhile.begun.promise;
  await changed(kept);
  expect(kept.validUntilMs()).toBeGreaterThan(asked.sinceMs + 3_000_000);
  writeFileSync(mark, "");
  while (meanwhile.keeps.size > 0) await changed(kept); // the thread has extended it
  expect(kept.validUntilMs()).toBeGreaterThan(asked.sinceMs + 3_000_000);
});

test("a lease that the thread keeps at once is not kept by this event loop", async () => {
  const meanwhile = new Meanwhile();
  using kept = leasesFor({}, meanwhile).keep({ ...terms(22), ttlMs: 60_000 });
  using bystander = leases.keep({ ...terms(23), ttlMs: 60_000 });
  await Promise.all([changed(kept), changed(bystander)]);
  expect(meanwhile.keeps.size).toBe(0);
});

test("a thread that dies is started anew with all that it kept", async () => {
  using directory = temporaryDirectory("lease-thread-test-");
  using bystander = leases.keep(terms(3));
  using kept = leases.keep(terms(13, [join(directory.path, "ended")]));
  while (warned.length === 0) await changed(bystander);
  await Promise.all([heardOf(kept), heardOf(bystander)]);
  blockUntilExtended(kept);
  expect(warned).toEqual([expect.stringContaining("started anew")]);
});
