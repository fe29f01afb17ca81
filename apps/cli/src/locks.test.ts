import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { connect, type Fabric, Manager, objectsAdmin } from "heddle";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { holdLock } from "../testdata/lock-tasks.ts";
import { addressFile, heddle, linesOf, lineWith, outcome, startHeddle } from "./testing.ts";

const scratch = mkdtempSync(join(tmpdir(), "heddle-cli-locks-"));
const script = fileURLToPath(new URL("../testdata/two-locks.ts", import.meta.url));
let up: ChildProcess;
let said: AsyncIterator<string>;
let address: string;
let fabric: Fabric;

beforeAll(async () => {
  const file = join(scratch, "up.json");
  up = startHeddle(["up", "--listen", "127.0.0.1:0", "--processes", "1", "--address-file", file]);
  said = linesOf(up.stderr);
  address = String((await addressFile(file)).address);
  fabric = await connect(address);
});

afterAll(async () => {
  await fabric.close();
  await ended(up, "SIGTERM");
  rmSync(scratch, { recursive: true, force: true });
});

/** Runs the command on the fabric of these tests. */
function asked(...args: readonly string[]) {
  return heddle([...args, "--address", address]);
}

/** A program that holds `first`, and wants `second` once the event "go" is set. */
async function holding(first: string, second: string) {
  const child = startHeddle(["run", "--address", address, script, first, second]);
  const exit = once(child, "exit");
  onTestFinished(() => ended(child, "SIGKILL"));
  const lines = linesOf(child.stdout);
  await lineWith(lines, `has ${first}`);
  const [holder] = (await objectsAdmin(fabric).lock(first)).lock.holders;
  if (holder === undefined) throw new Error(`nobody holds ${first}`);
  const { session, token, description } = holder;
  expect(description).toMatch(/^two-locks\.ts@\S+ pid \d+$/);
  return { exit, lines, session, token, who: `session ${session} (${description})` };
}

async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const gone = once(child, "exit");
  if (child.exitCode === null && child.signalCode === null && child.kill(signal)) await gone;
}

test("two programs that wait for each other are shown, explained, and parted by breaking one lock", async () => {
  const [a, b] = [await holding("ledger", "audit"), await holding("audit", "ledger")];
  const watch = startHeddle(["get", "locks", "--watch", "--no-headers", "--address", address]);
  onTestFinished(() => ended(watch, "SIGINT"));
  const rows = linesOf(watch.stdout);
  const before = [await rows.next(), await rows.next()].map(({ value }) => value);
  expect(before).toEqual([expect.stringMatching(/^audit +lock +0 /), expect.stringMatching(/^ledger +lock +0 /)]);
  await using manager = new Manager({ fabric });
  await manager.event({ name: "go" }).set();
  for (const waited = new Set<string>(); waited.size < 2; ) {
    const { value } = await rows.next();
    const [, name] = /^(audit|ledger) +lock +1 /.exec(value) ?? [];
    if (name !== undefined) waited.add(name);
  }

  const table = await asked("get", "locks");
  expect(table).toMatchObject({ code: 0, stderr: "" });
  expect(table.stdout).toMatch(
    /^NAME +KIND +WAITING +HELD +HOLDER\naudit +lock +1 +\d+m?s +two-locks\.ts@\S+ pid \d+\n/,
  );
  expect(table.stdout).toMatch(/^ledger +lock +1 +\d+m?s +two-locks\.ts@\S+ pid \d+$/m);
  const listed = JSON.parse((await asked("get", "lock", "ledger", "-o", "json")).stdout);
  expect(listed).toMatchObject({ object: "@ledger", waiting: 1, holders: [{ session: a.session, token: a.token }] });

  const circle = `${a.who} holds ledger and waits for audit; ${b.who} holds audit and waits for ledger`;
  const { code, stdout } = await asked("why", "lock", "ledger");
  expect(code).toBe(0);
  expect(
    stdout
      .replace(/\d+m?s/g, "T")
      .trimEnd()
      .split("\n"),
  ).toEqual([
    `lock/ledger is held by ${a.who} for T, token ${a.token}.`,
    "1 waits for it:",
    `  ${b.who} for T`,
    "Who waits for whom:",
    `  ${a.who} waits for audit, which ${b.who} holds`,
    `  ${b.who} waits for ledger, which ${a.who} holds`,
    `Deadlock: ${circle}.`,
    'None of them goes on by itself, unless it does several things at a time. "heddle break lock ledger" takes ledger from its holder.',
  ]);
  expect((await asked("describe", "lock", "@ledger")).stdout).toContain(`Deadlock:    ${circle}\n`);
  expect(JSON.parse((await asked("why", "lock", "audit", "-o", "json")).stdout)).toMatchObject({
    lock: { object: "@audit", holders: [{ session: b.session }], waiting: 1 },
    queue: [{ session: a.session }],
    deadlock: [
      { session: b.session, lock: "@ledger", holderSession: a.session },
      { session: a.session, lock: "@audit", holderSession: b.session },
    ],
  });
  const sessions = await asked("get", "session", String(b.session), "--no-headers");
  expect(sessions.stdout).toMatch(new RegExp(`^${b.session} +yes +\\d+m?s +1 +1 +two-locks\\.ts@\\S+ pid \\d+\n$`));

  const broken = await asked("break", "lock", "ledger", "--reason", "stuck since noon");
  expect(broken).toEqual({ code: 0, stdout: "lock/ledger broken\n", stderr: "" });
  expect(await lineWith(b.lines, "write: ")).toBe("write: done, release: done");
  expect(await lineWith(a.lines, "write: ")).toBe("write: LockLostError, release: LockLostError");
  expect(await Promise.all([a.exit, b.exit])).toEqual([
    [0, null],
    [0, null],
  ]);
  expect((await asked("why", "lock", "ledger")).stdout).toBe(
    "lock/ledger is free: nobody holds it.\nAn administrator took it from its holder last because: stuck since noon\n",
  );
  expect((await asked("break", "lock", "ledger")).stdout).toBe("lock/ledger unchanged: nobody held it\n");
}, 120_000); // a dozen commands, each a process

test("a lock that a worker holds is shown with the worker and its node, also by the next manager", async () => {
  const serving = await lineWith(said, "manager | manager serves at ");
  const managerPid = Number(/\(pid (\d+)\)$/.exec(serving)?.[1]);
  await using manager = new Manager({ fabric });
  await using pool = fabric.pool();
  const held = pool.apply(holdLock, ["engine", "held", "enough"]);
  await manager.event({ name: "held" }).wait();
  const before = await asked("describe", "lock", "engine");
  process.kill(managerPid, "SIGKILL");
  await lineWith(said, "manager | manager serves at ");
  const watch = startHeddle(["get", "lock", "engine", "--watch", "--address", address]);
  onTestFinished(() => ended(watch, "SIGINT"));
  const after = await lineWith(linesOf(watch.stdout), "worker pid");
  await manager.event({ name: "enough" }).set();
  const who = `worker pid ${await held} of agent `;
  expect(before.stdout).toMatch(
    new RegExp(`^Held by: +owner [1-9]\\d* of session \\d+ \\(${who}\\S+-1@\\S+ pid \\d+\\)`, "m"),
  );
  expect(after).toMatch(new RegExp(`^engine +lock +0 +\\d+m?s +${who}`));
}, 120_000);

describe("objects", () => {
  test("are listed, shown by name and by the beginning of an id, and described", async () => {
    await using manager = new Manager({ fabric });
    await manager.queue<number>({ name: "jobs", maxSize: 10 }).put(1);
    await manager.dict([["a", 1]]).size();
    const all = await asked("get", "objects", "-o", "wide");
    expect(all.stdout).toMatch(/^NAME +KIND +ITEMS +BYTES +WAITING +SESSION +CREATED +CHANGED +SPEC$/m);
    const id = /^([0-9a-f]{32}) +dict +1 /m.exec(all.stdout)?.[1] ?? "";
    expect((await asked("get", "object", id.slice(0, 16), "--no-headers")).stdout).toMatch(new RegExp(`^${id} +dict `));
    const dict = await asked("describe", "object", id);
    expect(dict.stdout).toMatch(/^Lives: {7}as long as session \d+ \(\S+@\S+ pid \d+\)$/m);
    const jobs = (await asked("describe", "object", "jobs")).stdout.split("\n");
    expect(jobs.slice(0, 3)).toEqual(["Name:        jobs", "Kind:        queue of at most 10", "Items:       1"]);
    const yaml = await asked("describe", "object", "jobs", "-o", "yaml");
    expect(yaml.stdout).toContain('object:\n  object: "@jobs"\n  kind: queue\n  items: 1\n');
  });

  test.each([
    ["get", "object"],
    ["get", "lock"],
    ["get", "session"],
    ["describe", "object"],
    ["describe", "lock"],
    ["why", "lock"],
    ["break", "lock"],
  ])("heddle %s %s of a name that is nobody's exits with 3 and says so", async (verb, kind) => {
    expect(await asked(verb, kind, "nobody")).toEqual({
      code: 3,
      stdout: "",
      stderr: `heddle: there is no ${kind} "nobody"\n`,
    });
  });
});

test("a fabric without a manager says how to get one", async () => {
  const file = join(scratch, "alone.json");
  const alone = startHeddle(["coordinator", "--listen", "127.0.0.1:0", "--address-file", file]);
  const end = outcome(alone);
  const place = String((await addressFile(file)).address);
  const [listed, asking] = await Promise.all([
    heddle(["get", "locks", "--address", place]),
    heddle(["why", "lock", "ledger", "--address", place]),
  ]);
  alone.kill("SIGTERM");
  await end;
  for (const { code, stdout, stderr } of [listed, asking]) {
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain("this fabric has no manager, which shared objects and locks need: start one with heddle");
  }
});
