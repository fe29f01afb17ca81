import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createProcessSpawner } from "@heddle/adapter-processes";
import { silentLogger } from "@heddle/kernel";
import type { SeenMark, WorkerExit, WorkerProcess } from "@heddle/port-processes";
import {
  type ChunkReturned,
  decodeError,
  decodePayload,
  type EncodedPayload,
  encodePayload,
  encodeValue,
  type Payload,
  PayloadAssembler,
  PrepareJob,
  RunChunk,
  splitPayload,
  type WorkerRequestEntry,
  type WorkerResponseEntry,
} from "@heddle/wire";
import { afterAll, describe, expect, test } from "vitest";
import { Pool } from "./pool.ts";
import { workerEntry } from "./worker-entry.ts";

const scratch = mkdtempSync(join(tmpdir(), "worker-test-"));
const spawner = createProcessSpawner({
  workerEntry,
  log: silentLogger,
  compileCacheDir: join(scratch, "compiled"),
  maxOldSpaceMb: 256,
});
afterAll(async () => {
  await spawner[Symbol.asyncDispose]();
  rmSync(scratch, { recursive: true, force: true });
});

/** How a chunk came back. */
interface Answer {
  readonly message: ChunkReturned;
  /** Of the items before the failing one, or of all. */
  readonly values: readonly unknown[];
}

/** A real worker process that runs one function, and everything that was told of it, in order. */
class Worker {
  readonly told: string[] = [];
  readonly exited: Promise<WorkerExit>;
  readonly #process: WorkerProcess<WorkerRequestEntry>;
  readonly #answers = new Map<number, PromiseWithResolvers<Answer>>();
  readonly #payloads = new PayloadAssembler<ChunkReturned>();
  #lastAssignment = 0;
  #heard = Promise.withResolvers<void>();

  /** `more`: of the job; `place` describes further exports of the source. */
  constructor(source: string, more: (place: (name: string) => Placed) => Partial<PrepareJob> = () => ({})) {
    const hash = createHash("sha256").update(source).digest("hex");
    const location = join(scratch, `${hash}.mjs`);
    writeFileSync(location, source);
    const { promise, resolve } = Promise.withResolvers<WorkerExit>();
    this.exited = promise;
    this.#process = spawner.spawn({
      entries: (entries) => {
        for (const entry of entries) this.#hear(entry);
      },
      output: (stream, line) => {
        this.told.push(`${stream}: ${line}`);
        this.#heard.resolve();
        this.#heard = Promise.withResolvers();
      },
      exited: resolve,
    });
    const placed = (exportName: string): Placed => {
      const none = { closure: false, captured: new Uint8Array(0), capturedArtifact: "", capturedLocation: "" };
      return { location, artifact: hash, exportName, ...none };
    };
    const job = { ...PrepareJob.fromPartial({ job: 1, jobId: "j", node: "n" }), ...placed("default") };
    this.#process.send({ kind: { $case: "prepareJob", value: { ...job, ...more(placed) } } });
  }

  /** Runs one chunk. */
  run(items: readonly unknown[], marks = false, grain = 0): Promise<Answer> {
    const assignment = ++this.#lastAssignment;
    const answer = Promise.withResolvers<Answer>();
    this.#answers.set(assignment, answer);
    const { header: input, parts } = splitPayload(encodePayload(items, "argument"), () => assignment);
    const value = RunChunk.fromPartial({ assignment, job: 1, attempt: 1, marks, grain });
    this.#process.send({ kind: { $case: "runChunk", value: { ...value, input } } });
    for (const part of parts) this.#process.send({ kind: { $case: "part", value: part } });
    return answer.promise;
  }

  readMark(): SeenMark | null {
    return this.#process.readMark();
  }

  kill(signal: "SIGTERM" | "SIGKILL" = "SIGKILL"): void {
    this.#process.kill(signal);
  }

  /** Resolves once it has printed that line. */
  async printed(line: string): Promise<void> {
    while (!this.told.includes(`stdout: ${line}`)) await this.#heard.promise;
  }

  /** The rest of the first line that begins like this, once it has printed one. */
  async printedAfter(start: string): Promise<string> {
    const begins = (line: string): boolean => line.startsWith(`stdout: ${start}`);
    while (!this.told.some(begins)) await this.#heard.promise;
    return this.told.find(begins)?.slice(`stdout: ${start}`.length) ?? "";
  }

  #hear({ kind }: WorkerResponseEntry): void {
    if (kind?.$case === "chunkReturned") {
      const message = kind.value;
      this.told.push(`returned ${message.assignment}`);
      const header = headerOf(message);
      if (header === undefined) return void this.#answers.get(message.assignment)?.resolve({ message, values: [] });
      const values = this.#payloads.open(header, message);
      if (values !== undefined) this.#answered(message, values);
    } else if (kind?.$case === "workerJoined") this.told.push("joined");
    else if (kind?.$case === "part") {
      const completion = this.#payloads.add(kind.value);
      if (completion?.payload !== undefined) this.#answered(completion.tag, completion.payload);
    }
  }

  #answered(message: ChunkReturned, values: EncodedPayload): void {
    this.#answers.get(message.assignment)?.resolve({ message, values: decodePayload(values) });
  }
}

type Placed = NonNullable<PrepareJob["combine"]>;

/** Undefined for a chunk that was not begun. */
function headerOf({ outcome }: ChunkReturned): Payload | undefined {
  if (outcome?.$case === "initFailure") return undefined;
  if (outcome?.$case === "part" && outcome.value.values !== undefined) return outcome.value.values;
  if (outcome?.$case === "done") return outcome.value;
  if (outcome?.$case === "error" && outcome.value.values !== undefined) return outcome.value.values;
  throw new Error("a chunk came back without values");
}

/** A dead one stays in the table until its parent looks at it, which may be never: that does not count. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

/** The user's error that a chunk came back with. */
function errorOf({ message: { outcome } }: Answer): Error {
  const kind = outcome?.$case === "error" ? outcome.value.failure?.kind : undefined;
  if (kind?.$case !== "userError") throw new Error(`came back with ${JSON.stringify(outcome)}`);
  return decodeError(kind.value.data) as Error;
}

describe("a worker process", () => {
  test("runs a shipped function over its items", async () => {
    const worker = new Worker("export default (x) => ({ cube: x ** 3 });");
    expect((await worker.run([1, 2, 3])).values).toEqual([{ cube: 1 }, { cube: 8 }, { cube: 27 }]);
    worker.kill();
    expect(await worker.exited).toMatchObject({ signal: "SIGKILL" });
  });

  test("takes one item of 64 MiB and gives it back", async () => {
    const worker = new Worker("export default (bytes) => bytes.map((byte) => byte ^ 1);");
    const item = new Uint8Array(64 * 1024 * 1024 - 16);
    item[12_345_678] = 7;
    const [back] = (await worker.run([item])).values as [Uint8Array];
    expect(back.length).toBe(item.length);
    expect([back[0], back[12_345_678], back.at(-1)]).toEqual([1, 6, 1]);
    worker.kill();
    await worker.exited;
  });

  test("is heard to print before it is heard to be done, line by line, hundreds of times", async () => {
    const worker = new Worker(`export default async (x) => {
      if (x % 5 === 0) console.error("e" + x); else console.log("o" + x);
      if (x % 2 === 0) await null;
      if (x % 50 === 0) process.stdout.write(String(x / 50).repeat(300_000) + "\\n");
    };`);
    const count = 400;
    for (let x = 1; x <= count; x += 4) await Promise.all([x, x + 1, x + 2, x + 3].map((item) => worker.run([item])));
    for (let x = 1; x <= count; x++) {
      const line = worker.told.indexOf(x % 5 === 0 ? `stderr: e${x}` : `stdout: o${x}`);
      expect(line).toBeGreaterThanOrEqual(0);
      expect(line).toBeLessThan(worker.told.indexOf(`returned ${x}`));
      if (x % 50 !== 0) continue;
      const before = worker.told.slice(0, worker.told.indexOf(`returned ${x}`));
      const printed = before.filter((text) => text.startsWith(`stdout: ${String(x / 50).repeat(100)}`));
      expect(printed.join("").replaceAll("stdout: ", "")).toHaveLength(300_000);
    }
    worker.kill();
    await worker.exited;
  });

  test("throws the user's error with its stack, its cause and its own fields", async () => {
    const worker = new Worker(`class Odd extends Error { name = "Odd"; code = 7; }
      function thrower(x) { throw new Odd("no " + x, { cause: new RangeError("why") }); }
      export default (x) => x === 2 ? thrower(x) : x;`);
    const answer = await worker.run([1, 2, 3]);
    expect(answer.values).toEqual([1]);
    const error = errorOf(answer);
    expect(error).toMatchObject({ name: "Odd", message: "no 2", code: 7, cause: expect.any(RangeError) });
    expect(error.stack).toMatch(/^Odd: no 2\n {4}at thrower .*\.mjs:2.*\n {4}at default .*\.mjs:3.*$/);
    expect((error.cause as Error).stack).toMatch(/^RangeError: why\n {4}at thrower .*\n {4}at default .*$/);
    worker.kill();
    await worker.exited;
  });
});

describe("a worker process dies", () => {
  test("when it is told to: at once, though a task waits", async () => {
    const worker = new Worker(`import { task } from "heddle";
      export default () => { console.log(task().index); return new Promise(() => setInterval(() => {}, 1000)); };`);
    void worker.run([0]);
    await worker.printed("0");
    worker.kill("SIGTERM");
    expect(await worker.exited).toMatchObject({ exitCode: null, signal: "SIGTERM" });
  });

  test("after its task's signal when the task asked for that", async () => {
    const worker = new Worker(`import { task } from "heddle";
      export default async () => {
        const { signal } = task();
        console.log("waits");
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        console.log("tidies up after an " + signal.reason.name);
        await new Promise(() => setInterval(() => {}, 1000));
      };`);
    void worker.run([0]);
    await worker.printed("waits");
    worker.kill("SIGTERM");
    await worker.printed("tidies up after an AbortError");
    expect(await worker.exited).toMatchObject({ exitCode: null, signal: "SIGTERM" });
  });

  test("with the status that user code chose, and what was done before is not lost", async () => {
    const worker = new Worker("export default (x) => { if (x < 0) process.exit(-x); return x; };");
    const done = Promise.all(Array.from({ length: 50 }, (_, x) => worker.run([x])));
    void worker.run([-9], true);
    expect((await done).map(({ values }) => values)).toEqual(Array.from({ length: 50 }, (_, x) => [x]));
    expect(await worker.exited).toMatchObject({ exitCode: 9, signal: null, mark: { assignment: 51, offset: 0 } });
  });

  test("of a rejection that nobody handles, with Node's words as its last", async () => {
    const worker = new Worker(`export default async (x) => {
      Promise.reject(new Error("left alone " + x));
      await new Promise(() => setInterval(() => {}, 1000));
    };`);
    void worker.run([5]);
    const exit = await worker.exited;
    expect(exit).toMatchObject({ exitCode: 1, signal: null });
    expect(exit.stderrTail).toContain("left alone 5");
  });

  test("of a signal in the middle of a chunk, its mark saying where", async () => {
    const worker = new Worker(
      'export default (x) => { if (x === 2) process.kill(process.pid, "SIGSEGV"); return x; };',
    );
    void worker.run([0, 1, 2, 3], true);
    expect(await worker.exited).toMatchObject({
      exitCode: null,
      signal: "SIGSEGV",
      mark: { assignment: 1, offset: 2 },
    });
  });

  test("when its heap is full, and is not mistaken for one that was told to", async () => {
    const worker = new Worker(
      "export default () => { const kept = []; for (;;) kept.push(new Array(1e6).fill(kept.length)); };",
    );
    void worker.run([0], true);
    const exit = await worker.exited;
    expect(exit).toMatchObject({ exitCode: null, signal: "SIGABRT", mark: { assignment: 1, offset: 0 } });
    expect(exit.stderrTail).toMatch(/\S/);
  });
});

describe("a worker process that is watched", () => {
  const watched = { watched: true };

  test("shows the item that never gives its event loop up, and for how long it has run", async () => {
    const worker = new Worker(
      'export default (x) => { if (x === 2) { console.log("spins"); for (;;); } };',
      () => watched,
    );
    void worker.run([0, 1, 2, 3]);
    await worker.printed("spins");
    const first = worker.readMark();
    expect(first).toMatchObject({ assignment: 1, offset: 2 });
    while ((worker.readMark()?.forMs ?? 0) < 50) await new Promise((resolve) => setImmediate(resolve));
    worker.kill("SIGTERM");
    expect(await worker.exited).toMatchObject({ signal: "SIGTERM", mark: { assignment: 1, offset: 2 } });
    expect(worker.readMark()).toBe(null);
  });

  test("dies with the grandchild that left its group, though it ignores SIGTERM", async () => {
    const worker = new Worker(
      `import { spawn } from "node:child_process";
      export default () => {
        process.on("SIGTERM", () => console.log("no"));
        const child = spawn("sleep", ["1000"], { detached: true, stdio: "ignore" });
        console.log("child " + child.pid);
        return new Promise(() => setInterval(() => {}, 1000));
      };`,
      () => watched,
    );
    void worker.run([0]);
    const child = Number(await worker.printedAfter("child "));
    worker.kill("SIGTERM");
    await worker.printed("no");
    expect(worker.readMark()).toMatchObject({ assignment: 1, offset: 0 });
    worker.kill("SIGKILL");
    expect(await worker.exited).toMatchObject({ signal: "SIGKILL" });
    expect(isRunning(child)).toBe(false);
  });

  test("says which of the items side by side has run for longest, and blames none of several", async () => {
    const worker = new Worker(
      `export default async (x) => {
        if (x === 3) { console.log("all"); return new Promise(() => setInterval(() => {}, 1000)); }
        await new Promise((resolve) => x === 0 ? resolve() : setInterval(() => {}, 1000));
      };`,
      () => ({ watched: true, concurrency: 3 }),
    );
    void worker.run([0, 1, 2, 3, 4]);
    await worker.printed("all");
    expect(worker.readMark()).toMatchObject({ offset: 1 });
    worker.kill();
    expect(await worker.exited).toMatchObject({ mark: null });
  });
});

describe("a worker process with an initializer", () => {
  const initializer = (args: readonly unknown[]) => (place: (name: string) => Placed) => ({
    initializer: { function: place("init"), args: encodeValue(args, "argument"), argsArtifact: "", argsLocation: "" },
  });
  const source = (body: string): string =>
    `let by; export async function init(x) { ${body} } export default (x) => x * by;`;

  test("runs it before its first chunk", async () => {
    const worker = new Worker(source("await null; by = x;"), initializer([7]));
    expect((await worker.run([1, 2])).values).toEqual([7, 14]);
    expect((await worker.run([3])).values).toEqual([21]);
    expect(worker.told).toEqual(["joined", "returned 1", "returned 2"]);
    worker.kill();
    await worker.exited;
  });

  test("says what it threw, with its stack, and lives on without running anything", async () => {
    const worker = new Worker(source('throw new RangeError("not " + x);'), initializer([7]));
    const { outcome } = (await worker.run([1])).message;
    if (outcome?.$case !== "initFailure") throw new Error(`came back with ${JSON.stringify(outcome)}`);
    expect(outcome.value.summary).toBe("RangeError: not 7");
    expect((decodeError(outcome.value.error) as Error).stack).toMatch(/^RangeError: not 7\n {4}at init .*\.mjs:1.*$/);
    worker.kill();
    expect(await worker.exited).toMatchObject({ signal: "SIGKILL" });
  });

  test("is not in a task there", async () => {
    const worker = new Worker(`import { task } from "heddle"; ${source("task();")}`, initializer([]));
    const { outcome } = (await worker.run([1])).message;
    expect(outcome).toMatchObject({
      value: { summary: expect.stringMatching(/^StateError: task\(\) was called where no/) },
    });
    worker.kill();
    await worker.exited;
  });

  test("that exits has blamed no item", async () => {
    const worker = new Worker(source("process.exit(3);"), initializer([]));
    void worker.run([1], true);
    expect(await worker.exited).toMatchObject({ exitCode: 3, mark: null });
    expect(worker.told).toEqual([]);
  });
});

describe("a worker process with more than one item", () => {
  test("tells items side by side apart, and gives each its own random numbers", async () => {
    const worker = new Worker(
      `import { task } from "heddle";
      const others = Promise.withResolvers();
      let over = 0;
      export default async (x) => {
        const first = task().random();
        if (x === 0) await others.promise;
        else if (++over === 3) others.resolve();
        return [task().index, first, task().random()];
      };`,
      () => ({ concurrency: 4, seedLow: 3 }),
    );
    const together = (await worker.run([0, 1, 2, 3])).values as [number, number, number][];
    expect(together.map(([index]) => index)).toEqual([0, 1, 2, 3]);
    expect(new Set(together.flat()).size).toBe(12);
    expect((await worker.run([0, 1, 2, 3])).values).toEqual(together);
    worker.kill();
    await worker.exited;
  });

  test("weighs itself", async () => {
    const source = "const kept = []; export default (x) => void kept.push(Buffer.alloc(x * 1024 * 1024, 1));";
    const worker = new Worker(source, () => ({ weighed: true }));
    const light = (await worker.run([1])).message.rssBytes;
    const heavy = (await worker.run([100])).message.rssBytes;
    expect(light).toBeGreaterThan(20 * 1024 * 1024);
    expect(heavy - light).toBeGreaterThan(80 * 1024 * 1024);
    worker.kill();
    await worker.exited;
  });

  test("gives back what it has not begun of a chunk of many grains when one takes long", async () => {
    const worker = new Worker(
      "export default (x) => { const end = performance.now() + x; while (performance.now() < end); return x; };",
    );
    const { message, values } = await worker.run([0, 0, 5, 0, 0, 0], false, 2);
    const { completed } = message.outcome?.$case === "part" ? message.outcome.value : { completed: 0 };
    expect([2, 4]).toContain(completed); // 2 where the machine itself was slow at the first grain
    expect(values).toEqual([0, 0, 5, 0].slice(0, completed));
    worker.kill();
    await worker.exited;
  });

  test("shows none of its own frames of a loop that was made for the function", async () => {
    const worker = new Worker('export default (x) => { if (x === 20_000) throw new Error("late"); return x; };');
    const error = errorOf(await worker.run(Array.from({ length: 20_010 }, (_, x) => x)));
    expect(error.stack).toMatch(/^Error: late\n {4}at default .*\.mjs:1.*$/);
    worker.kill();
    await worker.exited;
  });
});

test("a worker process loads no gRPC and no bundler", async () => {
  const worker = new Worker("export default () => process.moduleLoadList;");
  const [loaded] = (await worker.run([0])).values as [string[]];
  expect(loaded.length).toBeGreaterThan(10);
  // What they need and a worker does not: gRPC its sockets and HTTP/2, the bundler its child, the shipper its inspector.
  expect(loaded.filter((name) => /NativeModule (http2|tls|child_process|inspector)$/.test(name))).toEqual([]);
  worker.kill();
  await worker.exited;
});

describe("a pool of real processes", () => {
  test("fails an item that never gives its event loop up by its own error, and its neighbours run on", async () => {
    await using pool = new Pool({ processes: 1 });
    const spin = (x: number): number => {
      if (x === 1) for (;;);
      return x;
    };
    const call = pool.map(spin, [0, 1, 2], { itemTimeoutMs: 200 });
    await expect(call).rejects.toMatchObject({ name: "ItemTimeoutError", index: 1 });
    expect(await pool.map(spin, [0, 2])).toEqual([0, 2]);
  });

  test("ends an item that traps SIGTERM, with the grandchild that it put into a session of its own", async () => {
    await using pool = new Pool({ processes: 1 });
    const file = join(scratch, "grandchild");
    const trap = async (path: string): Promise<void> => {
      const { spawn } = await import("node:child_process");
      const { writeFileSync: write } = await import("node:fs");
      process.on("SIGTERM", () => undefined);
      write(path, String(spawn("sleep", ["1000"], { detached: true, stdio: "ignore" }).pid));
      await new Promise(() => setInterval(() => undefined, 1_000));
    };
    const call = pool.map(trap, [file], { itemTimeoutMs: 1_000 });
    await expect(call).rejects.toMatchObject({ name: "ItemTimeoutError", index: 0 });
    expect(isRunning(Number(readFileSync(file, "utf8")))).toBe(false);
  });

  test("whose initializer exits cannot be started, and says how that ended", async () => {
    await using pool = new Pool({ processes: 1, initializer: () => process.exit(3) });
    await expect(pool.map((x: number) => x, [1])).rejects.toMatchObject({
      name: "PoolInitError",
      message: expect.stringContaining("exited with code 3 while it ran the initializer"),
    });
  });

  test("replaces a worker that has grown too large when its chunk is over", async () => {
    const before = 150 * 1024 * 1024;
    await using pool = new Pool({ processes: 1, maxRssPerChildBytes: before });
    const grow = (mebibytes: number): number => {
      Reflect.set(globalThis, "kept", Buffer.alloc(mebibytes * 1024 * 1024, 1));
      return process.pid;
    };
    const first = await pool.apply(grow, [1]);
    expect(await pool.apply(grow, [200])).toBe(first);
    expect(await pool.apply(grow, [1])).not.toBe(first);
  });
});
