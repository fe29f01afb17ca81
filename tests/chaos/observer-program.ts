/** Looks at a run's fabric from where no fault is. Arguments: the coordinator's address and a directory with a client's files. */
import { createHash } from "node:crypto";
import { connect, type Fabric, Manager, objectsAdmin } from "heddle";
import { type LogEntry, shared } from "./client-events.ts";
import { serve } from "./companion-side.ts";
import type { JobFacts } from "./job-facts.ts";
import type { OnceLeft } from "./once-books.ts";
import { onceObjects } from "./once-lane.ts";
import { TOGETHER } from "./tasks.ts";

/** What clients have shared, as it is now. */
export interface Contents {
  readonly counts: readonly (readonly [string, number])[];
  readonly log: readonly LogEntry[];
  /** Of the jobs that were asked for. */
  readonly once: readonly OnceLeft[];
  /** The sum of all that counts once. */
  readonly together: number;
}

const [address = "", directory = ""] = process.argv.slice(2);
const tls = { caFile: `${directory}/ca.crt`, certFile: `${directory}/tls.crt`, keyFile: `${directory}/tls.key` };
let opened: Promise<Fabric> | undefined;
const fabric = (): Promise<Fabric> => {
  opened ??= connect(address, { tls });
  return opened;
};

async function contents(manager: Manager, onceKeys: readonly string[]): Promise<Contents> {
  const counts = await manager.dict<string, number>([], { name: shared.counts }).entries();
  const log = await manager.list<LogEntry>([], { name: shared.log }).toArray();
  const once = await Promise.all(
    onceKeys.map(async (key): Promise<OnceLeft> => {
      const { sums, lines } = onceObjects(manager, key);
      return { key, sum: await sums.get(key, 0), lines: await lines.toArray() };
    }),
  );
  const together = await onceObjects(manager, "").sums.get(TOGETHER, 0);
  return { counts, log, once, together };
}

serve({
  /** Those that are there. One that could not fork for a while may be excluded for longer than that: it is there. */
  nodes: async () => {
    const nodes = await (await fabric()).nodes();
    return nodes.filter(({ state }) => state === "ready" || state === "excluded").map(({ name }) => name);
  },
  jobs: async () =>
    (await (await fabric()).jobs()).map(
      ({ jobId, state, client, itemsDone, itemsOffered, ageMs, detached, kept }): JobFacts => ({
        ...{ jobId, state, client, detached, kept },
        ...{ items: `${itemsDone}/${itemsOffered}`, ageMs: Number(ageMs) },
      }),
    ),
  /** What runs, and where, in words: for who looks into a call that does not settle. */
  state: async () => {
    const [jobs, nodes] = await Promise.all([(await fabric()).jobs(), (await fabric()).nodes()]);
    const running = jobs.filter(({ state }) => state === "running");
    return [
      ...nodes.map(
        (node) => `node ${node.name} ${node.state}: ${node.chunks} chunks, credit ${node.credit}, slots ${node.slots}`,
      ),
      ...running.map(
        (job) =>
          `job ${job.jobId.slice(0, 8)} ${job.name} of ${job.client} for ${job.ageMs} ms: items ${job.itemsDone}/${job.itemsOffered}, ` +
          `chunks ${job.chunksOffered} offered, ${job.chunksPlaced} placed, ${job.chunksDone} done`,
      ),
    ];
  },
  contents: async (onceKeys: readonly string[]) => {
    await using manager = new Manager({ fabric: await fabric() });
    return await contents(manager, onceKeys);
  },
  /** Of every object there is, and what those of the clients hold. */
  digest: async (onceKeys: readonly string[]) => {
    await using manager = new Manager({ fabric: await fabric() });
    const held = await contents(manager, onceKeys);
    const objects = await objectsAdmin(await fabric()).objects();
    const facts = objects.map(({ object, kind, items, bytes }) => [object, kind, items, bytes].join(" "));
    const text = JSON.stringify([facts, held], (_, value) => (typeof value === "bigint" ? `${value}n` : value));
    return { objects: objects.length, digest: createHash("sha256").update(text).digest("hex") };
  },
  /** The numbers of a server's page, by name; those with labels by name and label. */
  metrics: async (http: string) => {
    const page = await (await fetch(`http://${http}/metrics`, { signal: AbortSignal.timeout(5_000) })).text();
    const lines = page.split("\n").filter((line) => line.startsWith("heddle_"));
    return Object.fromEntries(
      lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ")))]),
    );
  },
  close: async () => (await opened)?.close(),
});
