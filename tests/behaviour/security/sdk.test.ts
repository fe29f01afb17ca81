import { type ChildProcessByStdio, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { openAuthority, type TestAuthority } from "@heddle/adapter-grpc/testing";
import { tlsFilesIn } from "@heddle/port-rpc";
import { AuthenticationError, connect, type Fabric, objectsAdmin, PermissionError } from "heddle";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { Gate } from "../../harness/gate.ts";
import { bundleOf, SecureFabric } from "../../harness/secure-fabric.ts";
import { eventually, failure, settles } from "../../harness/waiting.ts";
import { counts, passes, puts, squares } from "./tasks.ts";

const authority = openAuthority();
const successor = openAuthority("its successor");
afterAll(() => {
  authority[Symbol.dispose]();
  successor[Symbol.dispose]();
});

/** Issues what the first authority does, to holders who believe both. */
function believingBoth(): TestAuthority {
  const believes = { ...authority, caFile: bundleOf(authority, successor) };
  return { ...authority, issue: (role, name, more) => authority.issue(role, name, { believes, ...more }) };
}

describe("a fabric that speaks mutual TLS", () => {
  let secure: SecureFabric;
  const open = (role: "client" | "admin" | "agent" = "client"): Promise<Fabric> =>
    connect(secure.address, { tls: secure.tls(role) });

  /** Runs a script with the client's credentials in its environment. */
  const run = (script: string, ...args: string[]): ChildProcessByStdio<null, Readable, Readable> => {
    const path = join(import.meta.dirname, "../scripts", script);
    const child = spawn(process.execPath, ["--conditions=@heddle/source", path, ...args], {
      env: { ...process.env, HEDDLE_ADDRESS: secure.address, HEDDLE_TLS_DIR: secure.directories.client },
      stdio: ["ignore", "pipe", "pipe"],
    });
    onTestFinished(() => void child.kill("SIGKILL"));
    return child;
  };

  beforeAll(async () => {
    secure = await SecureFabric.start(authority);
  });
  afterAll(() => secure[Symbol.asyncDispose]());

  test("runs maps, and tasks that call others through their agent", async () => {
    await using fabric = await open();
    await using pool = fabric.pool();
    expect(await pool.map((x: number) => x * 2, [1, 2, 3])).toEqual([2, 4, 6]);
    expect(await pool.apply(squares, [[1, 2, 3]])).toEqual([1, 4, 9]);
  });

  test("shares objects with tasks and processes, which have nothing of anybody's credentials", async () => {
    await using fabric = await open();
    await using manager = fabric.manager();
    const [dict, queue] = [manager.dict<string, number>(), manager.queue<string>()];
    const lock = manager.lock();
    await using pool = fabric.pool();
    const found = await pool.starmap(
      counts,
      Array.from({ length: 6 }, () => [lock, dict] as const),
      { chunkSize: 1 },
    );
    expect(new Set(found.flat())).toEqual(new Set(["HEDDLE_WORKER_COOKIE"]));
    expect(await dict.get("count")).toBe(6);
    await using pooled = fabric.pool({ processes: 1 });
    await pooled.apply(puts, [queue, "from a task"]);
    expect(await queue.get()).toBe("from a task");
  });

  test("is used by a script that names none: address and files are in its environment", async () => {
    const child = run("secure.ts");
    const [said, complaints] = await settles(Promise.all([text(child.stdout), text(child.stderr)]), () => "the script");
    expect(complaints).toBe("");
    expect(JSON.parse(said)).toEqual({ squared: [[1, 4], [9]], said: "from a process", exitCode: 0, total: 42 });
  });

  test("keeps the lease of a program whose loop is blocked for three of them", async () => {
    const child = run("lock-holder.ts", secure.address, "blocks");
    await using other = await open();
    await using manager = other.manager();
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const said = async (): Promise<unknown> =>
      JSON.parse(String((await settles(lines.next(), () => secure.log("manager"), 40_000)).value));
    const { held } = (await said()) as { held: number };
    const next = manager.lock({ name: "held" }).acquire();
    expect(await said()).toEqual({ isAborted: false, isHeld: true });
    const guard = await next;
    expect(Number(guard.token)).toBeGreaterThan(held);
    expect(await manager.list<string>([], { name: "written" }).toArray()).toContain("after the block");
    await guard.release();
  }, 60_000);

  test("lets roles do what is theirs: what is not is a PermissionError with role and method", async () => {
    await using admin = await open("admin");
    await using client = await open();
    expect((await admin.nodes()).map(({ name }) => name)).toEqual(["n1"]);
    const lock = client.manager().lock({ name: "broken" });
    const guard = await lock.acquire();
    const refused = await failure(objectsAdmin(client).breakLock("broken"));
    expect(refused).toBeInstanceOf(PermissionError);
    expect(String(refused)).toMatch(/client.*BreakLock.*admin's certificate/);
    guard.assertHeld();
    expect(await objectsAdmin(admin).breakLock("broken")).toHaveLength(1);
    const agent = await open("agent"); // status is everybody's
    onTestFinished(() => agent.close());
    for (const ask of [agent.nodes(), agent.jobs()]) {
      const error = await failure(ask);
      expect(error).toBeInstanceOf(PermissionError);
      expect(String(error)).toMatch(/agent.*List(Nodes|Jobs)/);
    }
  });

  test("refuses an admin that would run work or share state at once", async () => {
    await using admin = await open("admin");
    await using pool = admin.pool();
    const begunMs = performance.now();
    const work = await failure(pool.apply(() => 1));
    expect(work).toBeInstanceOf(PermissionError);
    expect(String(work)).toMatch(/admin.*Jobs\/Run/);
    const state = await failure(admin.manager().value("i32", 1).get());
    expect(state).toBeInstanceOf(PermissionError);
    expect(String(state)).toMatch(/admin.*Objects\/Operate/);
    expect(performance.now() - begunMs).toBeLessThan(5_000); // no patience is spent on it
  });

  test("is found by nobody without files, or with a token, and says which it takes", async () => {
    for (const options of [{}, { token: "s".repeat(43) }]) {
      const begunMs = performance.now();
      const error = await failure(connect(secure.address, options));
      expect(error).toBeInstanceOf(AuthenticationError);
      expect(String(error)).toContain(secure.address);
      expect(String(error)).toContain("TLS");
      expect(performance.now() - begunMs).toBeLessThan(5_000);
    }
  });
});

describe("certificates that are renewed", () => {
  test("while a job runs and a lock is held, by another authority even, disturb neither", async () => {
    await using secure = await SecureFabric.start(believingBoth());
    authority.replace(secure.tls("client"), believingBoth().issue("client", "the-client"));
    await using fabric = await connect(secure.address, { tls: secure.tls("client") });
    await using manager = fabric.manager();
    const dict = manager.dict<string, number>();
    const guard = await manager.lock().acquire();
    await using pool = fabric.pool();
    using gate = new Gate();
    const job = pool.starmap(
      passes,
      Array.from({ length: 8 }, (_, x) => [gate.path, dict, x] as const),
      { chunkSize: 1 },
    );
    await eventually(
      "tasks run",
      async () => (await fabric.jobs()).some(({ chunksPlaced }) => chunksPlaced > 0) || undefined,
    );

    successor.replace(secure.tls("client"), successor.issue("client", "the-client")); // it believes the new one alone
    await secure.renew(successor);
    secure.dropConnections();
    gate.open();
    expect(await settles(job, () => secure.log("coordinator"))).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(await dict.get("passed")).toBe(8);
    guard.assertHeld();
    await guard.release();
    const old = believingBoth().issue("client", "the-client").directory;
    const stale = await failure(connect(secure.address, { tls: tlsFilesIn(old) }));
    expect(stale).toBeInstanceOf(AuthenticationError);
  }, 120_000);

  test("by servers that believe a client no more end what it waits for, with the reason, when its patience is over", async () => {
    await using secure = await SecureFabric.start(authority);
    authority.replace(secure.tls("client"), tlsFilesIn(believingBoth().issue("client", "the-client").directory));
    const options = { tls: secure.tls("client"), unavailableTimeoutMs: 3_000 };
    await using fabric = await connect(secure.address, options);
    await using pool = fabric.pool();
    using gate = new Gate();
    await using manager = fabric.manager();
    const dict = manager.dict<string, number>([["passed", 0]]);
    await dict.get("passed");
    const job = failure(pool.apply(passes, [gate.path, dict, 1]));
    await eventually(
      "the task runs",
      async () => (await fabric.jobs()).some(({ chunksPlaced }) => chunksPlaced > 0) || undefined,
    );
    await secure.renew(successor);
    secure.dropConnections();
    const cutMs = performance.now();
    const [ended, read] = await Promise.all([
      settles(job, () => secure.log("coordinator")),
      failure(dict.get("passed")),
    ]);
    expect(performance.now() - cutMs).toBeGreaterThan(2_500); // it might have been for a moment
    for (const error of [ended, read]) expect(error).toBeInstanceOf(AuthenticationError);
    const begunMs = performance.now();
    expect(await failure(connect(secure.address, options))).toBeInstanceOf(AuthenticationError);
    expect(performance.now() - begunMs).toBeLessThan(2_500); // nobody who begins has patience with that
  }, 60_000);
});
