import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { CuttingRelay, type NodeEntry } from "../../harness/cutting-relay.ts";
import { Gate } from "../../harness/gate.ts";
import { ProcessCluster } from "../../harness/process-cluster.ts";
import { isThere } from "../../harness/reports.ts";
import { eventually } from "../../harness/waiting.ts";
import { placed } from "./placed.ts";
import { noted, notedItems, notesIn, runCounts, squares } from "./run-notes.ts";

vi.setConfig({ testTimeout: 180_000 });

/**
 * Agents whose connections can be cut around what they and their coordinator say. Nothing is lost of a connection but its end, so a word that is lost is one that was under way as the
 * connection broke.
 */
async function relayed() {
  let relay: CuttingRelay | undefined;
  const through = async (address: string): Promise<string> => {
    relay = await CuttingRelay.open(address);
    return relay.address;
  };
  const cluster = await ProcessCluster.start({ slots: 2, leaseMs: 6_000, agentsThrough: through });
  if (relay === undefined) throw new Error("agents need no relay");
  const opened: CuttingRelay = relay;
  onTestFinished(async () => {
    await cluster[Symbol.asyncDispose]();
    await opened[Symbol.asyncDispose]();
  });
  return { cluster, relay: opened, fabric: await cluster.fabric() };
}

type Relayed = Awaited<ReturnType<typeof relayed>>;

/** Both sides agree that nothing is placed, and that the nodes are those that they were. */
async function agreed({ cluster, fabric }: Relayed): Promise<void> {
  await eventually("no chunk is placed, all credit is given", async () => {
    const nodes = await fabric.nodes();
    return nodes.every(({ chunks, state }) => chunks === 0 && state === "ready") || undefined;
  });
  expect((await fabric.nodes()).map(({ name, incarnation }) => [name, incarnation])).toEqual([
    ["n1", 1],
    ["n2", 1],
  ]);
  using gate = new Gate();
  const notes = join(cluster.directory, `audit-${process.hrtime.bigint()}`);
  const gates = { n1: gate.path, n2: gate.path };
  const audit = fabric.pool().mapAsync(
    placed,
    Array.from({ length: 4 }, (_, n) => ({ notes, n, gates })),
    { chunkSize: 1 },
  );
  await eventually("every slot is in use", () => notesIn(notes).length === 4 || undefined);
  gate.open();
  expect((await cluster.drive(audit.get())).toSorted()).toEqual(["n1", "n1", "n2", "n2"]);
}

const words: readonly NodeEntry[] = ["describeJob", "assignChunk", "chunkStarted", "chunkFinished", "forgetJob"];

test("F10 a connection that breaks around any word of an assignment, before it has come or before that is known, costs no run: agent and coordinator agree", async () => {
  const all = await relayed();
  const { cluster, relay, fabric } = all;
  await using pool = fabric.pool();
  await cluster.drive(pool.map(cluster.tasks.square, [1, 2, 3]));
  const cuts: string[] = [];
  for (const word of words)
    for (const at of ["before", "after"] as const) {
      relay.cutAt(word, at);
      const notes = join(cluster.directory, `${word}-${at}`);
      const items = notedItems(notes, 12, 60);
      expect(await cluster.drive(pool.map(noted, items, { chunkSize: 3, retries: 0 })), word).toEqual(squares(12));
      expect(
        [...runCounts(notesIn(notes)).values()].filter((runs) => runs !== 1),
        `${word} ${at}`,
      ).toEqual([]);
      cuts.push(word);
      await eventually(`a cut ${at} ${word}`, () => relay.cuts.length === cuts.length || undefined);
    }
  expect(relay.cuts).toEqual(cuts);
  await agreed(all);
});

test.for(["before", "after"] as const)(
  "F10 a connection that breaks just %s a cancel is told ends what runs all the same, once",
  async (at) => {
    const all = await relayed();
    const { cluster, relay, fabric } = all;
    using gate = new Gate();
    const notes = join(cluster.directory, "notes");
    const gates = { n1: gate.path, n2: gate.path };
    const map = fabric.pool().mapAsync(
      placed,
      Array.from({ length: 12 }, (_, n) => ({ notes, n, gates })),
      { chunkSize: 1 },
    );
    map.get().catch(() => undefined); // it is cancelled
    await eventually("every slot is in use", () => notesIn(notes).length === 4 || undefined);
    const running = notesIn(notes);
    relay.cutAt("revokeChunk", at);
    map.cancel();
    await eventually("what ran has ended", () => !running.some(({ pid }) => isThere(pid)) || undefined);
    expect(relay.cuts).toEqual(["revokeChunk"]);
    await agreed(all);
    expect(notesIn(notes)).toEqual(running);
  },
);
