import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AsyncResult, type Fabric, Manager } from "heddle";
import { expect, onTestFinished, test, vi } from "vitest";
import { expectMarks, type Ledger, ledgerOf } from "../../harness/effects-ledger.ts";
import { ProcessCluster, type ProcessOptions } from "../../harness/process-cluster.ts";
import { eventually } from "../../harness/waiting.ts";
import * as tasks from "./once-tasks.ts";

vi.setConfig({ testTimeout: 120_000 }); // many processes start on a machine that may be busy

const numbers = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

/** A cluster of two nodes, and what its tasks write to. */
async function staged(count: number, options: ProcessOptions = {}) {
  const cluster = await ProcessCluster.start({ manager: true, slots: 2, unavailableTimeoutMs: 60_000, ...options });
  onTestFinished(() => cluster[Symbol.asyncDispose]());
  const fabric: Fabric = await cluster.fabric();
  const manager = new Manager({ fabric });
  onTestFinished(() => manager.close());
  const ledger: Ledger = ledgerOf(manager, count);
  await ledger.marks.size(); // it is there, and so is this program's session
  return { cluster, fabric, ledger };
}

/** Gates that items wait at, and what they say before. */
class Gates {
  readonly #directory = mkdtempSync(join(tmpdir(), "effects-test-"));
  readonly paths = { gate: join(this.#directory, "gate"), log: join(this.#directory, "log") };

  constructor() {
    writeFileSync(this.paths.log, "");
    onTestFinished(() => rmSync(this.#directory, { recursive: true }));
  }

  open(n: number): void {
    writeFileSync(`${this.paths.gate}-${n}`, "");
  }

  /** Runs that have begun, in order: the item and its node. */
  runs(): { readonly n: number; readonly node: string }[] {
    const lines = readFileSync(this.paths.log, "utf8").split("\n").slice(0, -1);
    return lines.map((line) => ({ n: Number(line.split(" ")[0]), node: line.split(" ")[1] ?? "" }));
  }

  /** The node of a run of an item other than on `except`, once there is one. */
  node(n: number, except = ""): Promise<string> {
    return eventually(`item ${n} runs`, () => this.runs().find((run) => run.n === n && run.node !== except)?.node);
  }
}

/** Resolves once so many items have their answer. */
async function reaches(result: AsyncResult<unknown>, done: number): Promise<void> {
  await eventually(`${done} items`, () => {
    if (result.ready()) throw new Error("it was over before anything could be hurt");
    return result.progress.done >= done || undefined;
  });
}

test("T03: an attempt that is paused before it commits, and goes on when another has, leaves nothing: the winner's result and writes count", async () => {
  const { cluster, fabric, ledger } = await staged(3);
  const gates = new Gates();
  const inputs = numbers(3).map((n): Parameters<typeof tasks.markAfter> => [ledger, n, gates.paths]);
  const map = fabric.pool().starmapAsync(tasks.markAfter, inputs, { effects: "once", chunkSize: 1 });
  const node = await gates.node(0);
  const paused = cluster.nodes.indexOf(node);
  cluster.pauseAgent(paused);
  await gates.node(0, node); // its node is given up, and another runs it
  gates.open(0); // for both runs
  const winner = await eventually("the winner's mark", () => ledger.marks.get(0));
  cluster.resumeAgent(paused);
  await eventually("the paused node is back", async () => ((await fabric.nodes()).length === 2 ? true : undefined));
  gates.open(1);
  gates.open(2);
  const marks = await cluster.drive(map.get());
  expect(marks[0]).toBe(winner);
  await expectMarks(ledger, marks);
});

test("what was committed and not told, for its node died in between, is the result: it is not run again", async () => {
  const { cluster, fabric, ledger } = await staged(1);
  const gates = new Gates();
  const inputs: Parameters<typeof tasks.markAfter>[] = [[ledger, 0, gates.paths]];
  const map = fabric.pool().starmapAsync(tasks.markAfter, inputs, { effects: "once" });
  const node = await gates.node(0);
  process.kill(cluster.coordinatorPid, "SIGSTOP"); // it hears of no result
  gates.open(0);
  const mark = await eventually("the mark", () => ledger.marks.get(0));
  cluster.killAgent(cluster.nodes.indexOf(node));
  process.kill(cluster.coordinatorPid, "SIGCONT");
  expect(await cluster.drive(map.get())).toEqual([mark]);
  expect(gates.runs()).toEqual([{ n: 0, node }]);
  await expectMarks(ledger, [mark]);
});

test.each<[string, (cluster: ProcessCluster, round: number) => Promise<void>]>([
  ["a coordinator", (cluster) => cluster.replaceCoordinator()],
  [
    "a manager",
    async (cluster) => {
      await cluster.killManager();
      await cluster.startManager();
    },
  ],
  [
    "an agent",
    async (cluster, round) => {
      cluster.killAgent(round % 2);
      cluster.startAgent(round % 2);
    },
  ],
])(
  "%s that is killed (-9) and started again three times in the middle of a map is not noticed: what items write counts once",
  async (_who, hurt) => {
    const count = 240;
    const { cluster, fabric, ledger } = await staged(count);
    const inputs = numbers(count).map((n): Parameters<typeof tasks.markSlowly> => [ledger, n]);
    const map = fabric.pool().starmapAsync(tasks.markSlowly, inputs, { effects: "once", chunkSize: 4 });
    for (const [round, done] of [20, 80, 140].entries()) {
      await reaches(map, done);
      await hurt(cluster, round);
    }
    await expectMarks(ledger, await cluster.drive(map.get()));
  },
);

test("a call that is cancelled leaves what its answered items have written, and nothing comes to count after it", async () => {
  const { fabric, ledger } = await staged(2);
  const gates = new Gates();
  gates.open(0);
  const inputs = numbers(2).map((n): Parameters<typeof tasks.markAfter> => [ledger, n, gates.paths]);
  const map = fabric.pool().starmapAsync(tasks.markAfter, inputs, { effects: "once", chunkSize: 1 });
  await reaches(map, 1);
  await gates.node(1);
  await map.cancel();
  gates.open(1);
  await eventually("its slots are free", async () =>
    (await fabric.nodes()).every(({ chunks }) => chunks === 0) ? true : undefined,
  );
  const mark = await ledger.marks.get(0);
  await expectMarks(ledger, [mark, undefined]);
});
