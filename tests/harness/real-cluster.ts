import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Fabric } from "heddle";
import type { Cluster } from "./cluster.ts";
import { type ProcessEntry, processesWith, processTable } from "./process-table.ts";
import { realTasks } from "./real-tasks.ts";
import { eventually, settles } from "./waiting.ts";

/** What embedded and served clusters share: real workers, real time, what was printed, and a directory that workers remember things in. */
export abstract class RealCluster implements Cluster {
  abstract readonly kind: "embedded" | "processes";
  abstract readonly isDistributed: boolean;
  abstract readonly nodes: readonly string[];
  abstract readonly slots: number;
  readonly tasks = realTasks;
  readonly printed: { readonly stderr: boolean; readonly line: string }[] = [];
  protected readonly scope = new AsyncDisposableStack();
  readonly directory: string;

  constructor() {
    this.directory = mkdtempSync(join(tmpdir(), "heddle-test-"));
    this.scope.defer(() => rmSync(this.directory, { recursive: true, force: true }));
    process.env.FABRIC_TEST_DIRECTORY = this.directory;
    this.#capture(process.stdout, false);
    this.#capture(process.stderr, true);
  }

  abstract fabric(): Promise<Fabric>;
  abstract killAgent(index: number): void;
  abstract startAgent(index: number): void;
  abstract pauseAgent(index: number): void;
  abstract resumeAgent(index: number): void;
  abstract drainAgent(index: number): Promise<void>;
  abstract vanishClient(): void;
  abstract stopCoordinator(): Promise<void>;
  /** Processes whose children are workers. */
  protected abstract agentPids(): readonly number[];

  drive<T>(promise: PromiseLike<T>): Promise<T> {
    return settles(promise, async () => JSON.stringify(await (await this.fabric()).jobs()));
  }

  async killWorker(): Promise<number> {
    const victim = await eventually("a worker that runs user code", () =>
      this.workers().find(({ state }) => state === "R"),
    );
    process.kill(victim.pid, "SIGKILL");
    return victim.pid;
  }

  async settled(): Promise<void> {
    await eventually("no open job and no busy worker", async () => {
      const fabric = await this.fabric();
      const jobs = await fabric.jobs();
      const nodes = await fabric.nodes();
      return (jobs.every((job) => job.durationMs > 0) && nodes.every((node) => node.chunks === 0)) || undefined;
    });
  }

  /** Worker processes, from the process table. */
  workers(): ProcessEntry[] {
    const agents = this.agentPids();
    return processTable().filter(
      ({ parent, command, state }) => agents.includes(parent) && command.includes("worker") && state !== "Z",
    );
  }

  /** Stops everything, then rejects when a process of this cluster is left: each one inherited the directory's name. */
  async [Symbol.asyncDispose](): Promise<void> {
    const mark = `FABRIC_TEST_DIRECTORY=${this.directory}`;
    await this.scope.disposeAsync();
    delete process.env.FABRIC_TEST_DIRECTORY;
    const left = (): ProcessEntry[] => processesWith(mark).filter(({ pid }) => pid !== process.pid);
    await eventually("no process of the cluster is left", () => left().length === 0 || undefined, 5_000).catch(
      (cause) => {
        throw new Error(`left running: ${JSON.stringify(left())}`, { cause });
      },
    );
  }

  #capture(stream: NodeJS.WriteStream, stderr: boolean): void {
    const write = stream.write;
    let rest = "";
    stream.write = (chunk: string | Uint8Array, ...others: never[]): boolean => {
      const lines = (rest + (typeof chunk === "string" ? chunk : Buffer.from(chunk).toString())).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.printed.push({ stderr, line });
      return Reflect.apply(write, stream, [chunk, ...others]);
    };
    this.scope.defer(() => {
      stream.write = write;
    });
  }
}
