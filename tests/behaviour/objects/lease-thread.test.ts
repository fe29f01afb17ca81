import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { systemEnvironment } from "@heddle/adapter-system";
import { memoryJournal } from "@heddle/port-journal";
import { unaryRoute } from "@heddle/port-rpc";
import { ManagerShell } from "@heddle/shell-manager";
import { adminGetStatus, GetStatusResponse } from "@heddle/wire";
import { connect, Manager } from "heddle";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { localServer } from "../../harness/local-rpc.ts";
import { settles } from "../../harness/waiting.ts";

/** A program that holds a lock, and what it said. */
class Holder implements AsyncDisposable {
  readonly child: ChildProcess;
  readonly #complaints: string[] = [];
  readonly #lines: AsyncIterator<string>;

  constructor(address: string, script: string, ...args: string[]) {
    const path = join(import.meta.dirname, "../scripts", script);
    this.child = spawn(process.execPath, ["--conditions=@heddle/source", path, address, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    const { stdout, stderr } = this.child;
    if (stdout === null || stderr === null) throw new Error("it has no output");
    this.#lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
    createInterface({ input: stderr }).on("line", (line) => this.#complaints.push(line));
  }

  async says(): Promise<unknown> {
    const { value, done } = await settles(this.#lines.next(), () => this.#complaints.join("\n"), 30_000);
    if (done === true) throw new Error(`it ended: ${this.#complaints.join("\n")}`);
    return JSON.parse(value);
  }

  /** Its exit code, once it has ended. */
  async ended(): Promise<number | null> {
    const { child } = this;
    if (child.exitCode === null) await settles(once(child, "exit"), () => this.#complaints.join("\n"), 20_000);
    return child.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill("SIGKILL");
    await once(this.child, "exit");
  }
}

const scope = new AsyncDisposableStack();
let address = "";

beforeAll(async () => {
  const env = systemEnvironment();
  const shell = new ManagerShell({ env, journal: memoryJournal(), build: "test", nodeMajor: 24, pid: process.pid });
  await shell.start();
  scope.defer(() => shell.stop(0));
  const server = localServer();
  const manager = scope.use(await server.listen("127.0.0.1:0", shell.routes));
  const status = unaryRoute(adminGetStatus, async () => GetStatusResponse.fromPartial({ manager: manager.address }));
  address = scope.use(await server.listen("127.0.0.1:0", [status])).address;
});

afterAll(() => scope.disposeAsync());

describe("a program with a leased lock, over gRPC", () => {
  test("that computes for three leases still has it, and knows", async () => {
    await using holder = new Holder(address, "lock-holder.ts", "blocks");
    await using fabric = await connect(address);
    await using manager = new Manager({ fabric });
    const { held } = (await holder.says()) as { held: number };
    const next = manager.lock({ name: "held" }).acquire();
    expect(await holder.says()).toEqual({ isAborted: false, isHeld: true });
    const guard = await next;
    expect(Number(guard.token)).toBeGreaterThan(held);
    expect(await manager.list<string>([], { name: "written" }).toArray()).toContain("after the block");
    await guard.release();
    expect(await holder.ended()).toBe(0);
  }, 60_000);

  test("that is stopped for longer than the lease has lost it: its signal fires within 100 ms, and it cannot write", async () => {
    await using holder = new Holder(address, "lock-holder.ts", "waits");
    await using fabric = await connect(address);
    await using manager = new Manager({ fabric });
    const { held } = (await holder.says()) as { held: number };
    const next = manager.lock({ name: "held" }).acquire();
    holder.child.kill("SIGSTOP");
    const guard = await next;
    expect(Number(guard.token)).toBeGreaterThan(held);
    holder.child.kill("SIGCONT");
    const { afterResumeMs, error } = (await holder.says()) as { afterResumeMs: number; error: unknown };
    expect(afterResumeMs).toBeLessThan(100);
    expect(error).toBe("LockLostError");
    expect(await manager.list<string>([], { name: "written" }).toArray()).not.toContain("too late");
    await guard.release();
  }, 60_000);

  test("that comes to its end closes what it has forgotten: its writes are done and its lock is free, long before the lease is over", async () => {
    await using holder = new Holder(address, "forgetful-holder.ts");
    await using fabric = await connect(address);
    await using manager = new Manager({ fabric });
    await holder.says();
    const next = manager.lock({ name: "held" }).acquire();
    expect(await holder.ended()).toBe(0);
    const guard = await settles(next, () => "the lock is not free", 20_000);
    expect(await manager.list<string>([], { name: "written" }).toArray()).toContain("at the end");
    await guard.release();
  }, 60_000);
});
