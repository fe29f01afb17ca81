import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PermissionError } from "@heddle/kernel";
import { afterAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { systemClock } from "./clock.ts";
import { hostFacts, temporaryDirectory } from "./host.ts";
import { findLocalToken } from "./local-tokens.ts";
import { stderrLogger } from "./log.ts";
import { systemRandom } from "./random.ts";
import { privateDirectory, runtimeDirectory } from "./runtime-directory.ts";
import { availableSlots, readCgroupQuota, slotsFrom } from "./slots.ts";

const scratch = mkdtempSync(join(tmpdir(), "system-test-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe("the system clock", () => {
  test("a timer fires at its time or after, never inline, in order of time", async () => {
    const clock = systemClock();
    const startMs = clock.nowMs();
    const fired: [string, number][] = [];
    await new Promise<void>((resolve) => {
      clock.setTimer(startMs + 12, () => {
        fired.push(["later", clock.nowMs() - startMs]);
        resolve();
      });
      clock.setTimer(startMs + 4, () => fired.push(["sooner", clock.nowMs() - startMs]));
      clock.setTimer(startMs - 5, () => fired.push(["past", clock.nowMs() - startMs]));
      expect(fired).toEqual([]);
      setTimeout(() => undefined, 30); // ours do not keep the process alive
    });
    expect(fired.map(([name]) => name)).toEqual(["past", "sooner", "later"]);
    expect(fired[1]?.[1]).toBeGreaterThanOrEqual(4);
    expect(fired[2]?.[1]).toBeGreaterThanOrEqual(12);
  });

  test("a disposed timer never fires, and one further away than Node's longest does not fire at once", async () => {
    const clock = systemClock();
    let fired = 0;
    clock.setTimer(clock.nowMs(), () => fired++)[Symbol.dispose]();
    using _far = clock.setTimer(clock.nowMs() + 2 ** 40, () => fired++);
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(fired).toBe(0);
  });

  test("a timer does not keep the process alive", () => {
    const script = `import { systemClock } from ${JSON.stringify(new URL("./clock.ts", import.meta.url).href)};
      const clock = systemClock(); clock.setTimer(clock.nowMs() + 60_000, () => {});`;
    execFileSync(process.execPath, ["--input-type=module", "-e", script], { timeout: 20_000 });
  });
});

test("system random numbers are in range and reach both halves of it", () => {
  const random = systemRandom();
  const floats = Array.from({ length: 1_000 }, () => random.float());
  expect(floats.every((value) => value >= 0 && value < 1)).toBe(true);
  expect(floats.some((value) => value < 0.5) && floats.some((value) => value > 0.5)).toBe(true);
  for (const bound of [1, 2, 10, 0x8000_0001, 0x1_0000_0000]) {
    const drawn = Array.from({ length: 1_000 }, () => random.int(bound));
    expect(drawn.every((value) => Number.isInteger(value) && value >= 0 && value < bound)).toBe(true);
  }
  expect(new Set(Array.from({ length: 1_000 }, () => random.int(0x1_0000_0000))).size).toBeGreaterThan(990);
});

describe("the log", () => {
  const now = (): Date => new Date(0);
  const logged = (
    json: boolean,
    level: "debug" | "warn" = "debug",
  ): { lines: string[]; log: ReturnType<typeof stderrLogger> } => {
    const lines: string[] = [];
    return { lines, log: stderrLogger({ level, json, now, write: (line) => lines.push(line) }) };
  };

  test("an entry is one line, whatever is in it", () => {
    const { lines, log } = logged(false);
    log.warn("worker gone", { pid: 7, why: "a\nb \u001b[31m", ok: false, none: undefined });
    expect(lines).toEqual(['1970-01-01T00:00:00.000Z warn  worker gone pid=7 why="a\\nb \\u001b[31m" ok=false\n']);
  });

  test("as JSON it is one object a line", () => {
    const { lines, log } = logged(true);
    log.error("broken\n", { pid: 7 });
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      { time: "1970-01-01T00:00:00.000Z", level: "error", message: "broken\n", pid: 7 },
    ]);
  });

  test("what is below the level is dropped", () => {
    const { lines, log } = logged(false, "warn");
    log.debug("a");
    log.info("b");
    log.warn("c");
    expect(lines).toHaveLength(1);
  });
});

describe("slots", () => {
  test("are the smallest of cores, quota and what Slurm gave, at least one", () => {
    expect(slotsFrom({ parallelism: 8 })).toBe(8);
    expect(slotsFrom({ parallelism: 8, cgroupQuota: 2.5 })).toBe(3);
    expect(slotsFrom({ parallelism: 8, cgroupQuota: 0.2 })).toBe(1);
    expect(slotsFrom({ parallelism: 8, slurmCpus: "4" })).toBe(4);
    expect(slotsFrom({ parallelism: 8, slurmCpus: "many" })).toBe(8);
    expect(slotsFrom({ parallelism: 2, cgroupQuota: 64, slurmCpus: "16" })).toBe(2);
    expect(availableSlots()).toBeGreaterThanOrEqual(1);
  });

  const reader = (files: Record<string, string>) => (path: string) => new Map(Object.entries(files)).get(path);

  test("a version 2 quota counts from the group itself and from those above it", () => {
    const files = {
      "/proc/self/cgroup": "0::/user/job\n",
      "/proc/self/mountinfo": "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
      "/sys/fs/cgroup/user/job/cpu.max": "max 100000\n",
      "/sys/fs/cgroup/user/cpu.max": "150000 100000\n",
    };
    expect(readCgroupQuota(reader(files))).toBe(1.5);
  });

  test("inside a container the group's folder is the mount itself", () => {
    const files = {
      "/proc/self/cgroup": "0::/docker/abc\n",
      "/proc/self/mountinfo": "31 23 0:28 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup ro\n",
      "/sys/fs/cgroup/cpu.max": "300000 100000\n",
    };
    expect(readCgroupQuota(reader(files))).toBe(3);
  });

  test("a version 1 quota of -1 is none", () => {
    const v1 = (quota: string): number | undefined =>
      readCgroupQuota(
        reader({
          "/proc/self/cgroup": "4:memory:/x\n2:cpu,cpuacct:/job\n0::/\n",
          "/proc/self/mountinfo": "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n",
          "/sys/fs/cgroup/cpu/job/cpu.cfs_quota_us": quota,
          "/sys/fs/cgroup/cpu/job/cpu.cfs_period_us": "100000\n",
        }),
      );
    expect(v1("-1\n")).toBeUndefined();
    expect(v1("250000\n")).toBe(2.5);
    expect(readCgroupQuota(() => undefined)).toBeUndefined();
  });
});

describe("the runtime directory", () => {
  test("is the user's own, in XDG_RUNTIME_DIR where that is there", () => {
    const path = runtimeDirectory({ XDG_RUNTIME_DIR: scratch });
    expect(path).toBe(join(scratch, "heddle"));
    expect(statSync(path).mode & 0o777).toBe(0o700);
    expect(runtimeDirectory({ XDG_RUNTIME_DIR: join(scratch, "absent") })).toBe(runtimeDirectory({}));
  });

  test("is refused when it is a link or open to others", () => {
    symlinkSync(scratch, join(scratch, "link"));
    expect(() => privateDirectory(join(scratch, "link"))).toThrow(PermissionError);
    const path = privateDirectory(join(scratch, "own"));
    chmodSync(path, 0o755);
    expect(() => privateDirectory(path)).toThrow(PermissionError);
  });

  test("is refused when it belongs to somebody else", () => {
    const path = privateDirectory(join(scratch, "theirs"));
    const somebody = vi.spyOn(process, "getuid").mockReturnValue((process.getuid?.() ?? 0) + 1);
    onTestFinished(() => somebody.mockRestore());
    expect(() => privateDirectory(path)).toThrow(/another user/);
  });
});

describe("the place of the runtime directory, where another user was first", () => {
  const begun = (name: string): string => {
    const shared = mkdtempSync(join(scratch, "shared-"));
    vi.stubEnv("TMPDIR", shared);
    vi.stubEnv("XDG_RUNTIME_DIR", "");
    onTestFinished(() => void vi.unstubAllEnvs());
    const path = join(shared, `heddle-${process.getuid?.() ?? 0}`);
    if (name === "open") mkdirSync(path, { mode: 0o755 });
    else if (name === "file") writeFileSync(path, "");
    else if (name === "link") symlinkSync(scratch, path);
    else symlinkSync(join(shared, "nowhere"), path);
    return path;
  };

  test.each([
    ["open", "is open to other users (mode 755)"],
    ["file", "is not a directory"],
    ["link", "is not a directory"],
    ["dangling", "is not a directory"],
  ])("is refused, to servers and clients, with words that say where else it can be: %s", (name, words) => {
    const path = begun(name);
    for (const look of [() => runtimeDirectory(), () => findLocalToken("127.0.0.1:7433")]) {
      expect(look).toThrow(PermissionError);
      expect(look).toThrow(
        `${path} ${words}, and is where Heddle keeps sockets and tokens: set XDG_RUNTIME_DIR, or TMPDIR`,
      );
    }
    vi.stubEnv("XDG_RUNTIME_DIR", mkdtempSync(join(scratch, "own-")));
    expect(findLocalToken("127.0.0.1:7433")).toBeUndefined();
    expect(statSync(runtimeDirectory()).mode & 0o777).toBe(0o700);
  });
});

describe("a temporary directory", () => {
  test("is the user's own and goes with all that is in it", () => {
    const directory = temporaryDirectory("test-");
    expect(statSync(directory.path).mode & 0o777).toBe(0o700);
    writeFileSync(join(directory.path, "file"), "x");
    directory[Symbol.dispose]();
    directory[Symbol.dispose]();
    expect(existsSync(directory.path)).toBe(false);
  });

  test("goes when its process exits, too", () => {
    const script = `import { temporaryDirectory } from ${JSON.stringify(new URL("./host.ts", import.meta.url).href)};
      process.stdout.write(temporaryDirectory("test-").path);`;
    const path = execFileSync(process.execPath, ["--conditions=@heddle/source", "--input-type=module", "-e", script], {
      encoding: "utf8",
    });
    expect(path).toMatch(/test-/);
    expect(existsSync(path)).toBe(false);
  });
});

test("a process knows its number, its machine and its Node", () => {
  expect(hostFacts()).toMatchObject({ pid: process.pid, host: expect.any(String), program: expect.any(String) });
  expect(process.versions.node.startsWith(`${hostFacts().nodeMajor}.`)).toBe(true);
});

test("a process lives as long as something holds it, and no longer", () => {
  const script = (
    disposed: number,
  ) => `import { processHolds } from ${JSON.stringify(new URL("./host.ts", import.meta.url).href)};
    const hold = processHolds(); const holds = [hold(), hold()];
    setTimeout(() => { process.stdout.write("held"); for (const one of holds) { one[Symbol.dispose](); one[Symbol.dispose](); } }, 20).unref();
    for (let i = 0; i < ${disposed}; i++) holds[i][Symbol.dispose]();`;
  const run = (disposed: number): string =>
    execFileSync(process.execPath, ["--conditions=@heddle/source", "--input-type=module", "-e", script(disposed)], {
      encoding: "utf8",
      timeout: 20_000,
    });
  expect(run(0)).toBe("held");
  expect(run(1)).toBe("held");
  expect(run(2)).toBe("");
});

describe("a process that a signal ends", () => {
  const begin = (rest: string): ChildProcess => {
    const source = `import { onProcessEnd } from ${JSON.stringify(new URL("./host.ts", import.meta.url).href)};
      setInterval(() => {}, 1000);
      ${rest}; process.stdout.write("ready\\n");`;
    const child = spawn(process.execPath, ["--conditions=@heddle/source", "--input-type=module", "-e", source]);
    onTestFinished(() => void child.kill("SIGKILL"));
    return child;
  };
  const ended = async (child: ChildProcess, ...signals: readonly NodeJS.Signals[]) => {
    let said = "";
    const closed = once(child, "close");
    const left = [...signals];
    child.stdout?.on("data", (chunk: Buffer) => {
      said += chunk;
      const signal = left.shift();
      if (signal !== undefined) child.kill(signal);
    });
    const [code, signal] = await closed;
    return [said.trim().split("\n"), (signal as unknown) ?? code];
  };
  const leave = `onProcessEnd(async () => { process.stdout.write("leaving\\n"); await new Promise((r) => setTimeout(r, 50)); process.stdout.write("left\\n"); })`;

  test("lets those leave who want to, and still ends by that signal", async () => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
      expect(await ended(begin(leave), signal)).toEqual([["ready", "leaving", "left"], signal]);
  });

  test("ends a second later when they cannot leave, and at once at another signal", async () => {
    const stuck = `onProcessEnd(() => { process.stdout.write("leaving\\n"); return new Promise(() => {}); })`;
    expect(await ended(begin(stuck), "SIGTERM")).toEqual([["ready", "leaving"], "SIGTERM"]);
    expect(await ended(begin(stuck), "SIGTERM", "SIGINT")).toEqual([["ready", "leaving"], "SIGINT"]);
  });

  test("is left alone where the script listens itself, and when nobody wants to leave any more", async () => {
    const own = `process.on("SIGINT", () => { process.stdout.write("own\\n"); process.exit(7); })`;
    expect(await ended(begin(`${leave}; ${own}`), "SIGINT")).toEqual([["ready", "own"], 7]);
    expect(await ended(begin(`${leave}[Symbol.dispose]()`), "SIGINT")).toEqual([["ready"], "SIGINT"]);
    const polite = `process.on("SIGINT", function mine() { if (process.listenerCount("SIGINT") > 1) return;
      process.removeListener("SIGINT", mine); process.kill(process.pid, "SIGINT"); })`;
    expect(await ended(begin(`${leave}; ${polite}`), "SIGINT")).toEqual([["ready"], "SIGINT"]);
  });
});

test("a script at its end lets those leave who want to, keeps its status, and goes on where it was", () => {
  const script = `import { onProcessEnd } from ${JSON.stringify(new URL("./host.ts", import.meta.url).href)};
    let left = false;
    onProcessEnd(async () => { if (left) return; left = true; await new Promise((r) => setTimeout(r, 20)); process.stdout.write("left"); });
    process.exitCode = 3;`;
  const { stdout, status } = spawnSync(
    process.execPath,
    ["--conditions=@heddle/source", "--input-type=module", "-e", script],
    { encoding: "utf8", timeout: 20_000 },
  );
  expect([stdout, status]).toEqual(["left", 3]);
});
