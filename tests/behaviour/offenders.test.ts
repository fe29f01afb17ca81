import { MESSAGE_BYTES_MAX } from "@heddle/kernel";
import type { Frame, Link, Version } from "@heddle/port-rpc";
import {
  type AttachRequestEntry,
  type AttachResponseEntry,
  encodePayload,
  FunctionRef,
  jobsRun,
  nodesAttach,
  OpenJob,
  OpenPool,
  protocolVersion,
  type RunRequestEntry,
  type RunResponseEntry,
} from "@heddle/wire";
import { range } from "heddle";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { localClient } from "../harness/local-rpc.ts";
import { ProcessCluster } from "../harness/process-cluster.ts";
import { garbageOn3 } from "../harness/real-functions.ts";
import { settles } from "../harness/waiting.ts";

type ClientLink = Link<Frame<RunRequestEntry>, Frame<RunResponseEntry>>;
type AgentLink = Link<Frame<AttachRequestEntry>, Frame<AttachResponseEntry>>;

const ID = "0123456789abcdef0123456789abcdef";
const HASH = "a".repeat(64);
const version = protocolVersion("0.0.0-offender", 24);

describe("an offender is told what it did and dropped, alone", () => {
  let cluster: ProcessCluster;
  const rpc = localClient();
  beforeAll(async () => {
    cluster = await ProcessCluster.start();
  });
  afterAll(async () => {
    await rpc[Symbol.asyncDispose]();
    await cluster[Symbol.asyncDispose]();
  });

  const dialClient = (): Promise<ClientLink> => rpc.dial(jobsRun, cluster.address, new AbortController().signal);
  const dialAgent = (): Promise<AgentLink> => rpc.dial(nodesAttach, cluster.address, new AbortController().signal);

  const clientOffences: Readonly<Record<string, { readonly entries: RunRequestEntry[]; readonly words: RegExp }>> = {
    "does not register first": {
      entries: [{ kind: { $case: "cancelJob", value: { job: 1, reason: "" } } }],
      words: /register first/,
    },
    "registers with an id that is none": { entries: [register("nobody")], words: /client id/ },
    "registers twice": { entries: [register(ID), register(ID)], words: /registered twice/ },
    "opens a job in a pool that is not open": { entries: [register(ID), openJob(1)], words: /not open/ },
    "opens two jobs of one number": { entries: [register(ID), openPool(), openJob(1), openJob(1)], words: /in use/ },
    "leaves out a chunk": { entries: [register(ID), openPool(), openJob(1), offer(1, 1)], words: /chunk 0 was due/ },
    "offers a chunk without items": {
      entries: [register(ID), openPool(), openJob(1), offer(1, 0, [])],
      words: /no items/,
    },
    "sends a part that nothing announced": {
      entries: [
        register(ID),
        { kind: { $case: "part", value: { partStream: 7, data: new Uint8Array(1), last: true, aborted: false } } },
      ],
      words: /part stream 7/,
    },
    "packs chunks that are larger than what it sends": {
      entries: [register(ID), openPool(), openJob(1), offer(1, 0, [1, 2], 3)],
      words: /grain/,
    },
    "allows an item more time than there is": {
      entries: [register(ID), openPool(), openJob(1, { itemTimeoutMs: 0xffff_ffff })],
      words: /4294967295/,
    },
    "wants a crowd of items at a time": {
      entries: [register(ID), openPool(), openJob(1, { concurrency: 5_000 })],
      words: /5000/,
    },
    "names no function": {
      entries: [register(ID), openPool(), openJob(1, { function: undefined })],
      words: /no function/,
    },
    "announces one size and sends another": {
      entries: [register(ID), openPool(), openJob(1), lyingOffer()],
      words: /says 99 bytes/,
    },
  };

  test.for(Object.entries(clientOffences))("a client that %s", async ([, { entries, words }]) => {
    expect(await offend(await dialClient(), entries)).toMatch(words);
    await others();
  });

  test("an agent whose name is none", async () => {
    const entry: AttachRequestEntry = { kind: { $case: "registerNode", value: { ...node, name: "Not A Name" } } };
    expect(await offend(await dialAgent(), [entry])).toMatch(/node name/);
    await others();
  });

  test("an agent without slots", async () => {
    const entry: AttachRequestEntry = { kind: { $case: "registerNode", value: { ...node, slots: 0 } } };
    expect(await offend(await dialAgent(), [entry])).toMatch(/0 slots/);
    await others();
  });

  test("a peer of a version that cannot be spoken with is told both versions", async () => {
    const words = await offend(await dialClient(), [register(ID)], { ...version, minor: 99, minMinor: 98 });
    expect(words).toMatch(/98/);
    expect(words).toMatch(/upgrade/i);
    await others();
  });

  test("a peer that skips frames", async () => {
    const link = await dialClient();
    greet(link);
    link.send({ sequence: 5, acknowledged: 0, control: undefined, entries: [register(ID)] });
    expect(await goodbyeOf(link)).toMatch(/frame 5 came/);
    await others();
  });

  test("a message above the limit ends its stream only", async () => {
    const link = await dialClient();
    greet(link);
    const data = new Uint8Array(2 * MESSAGE_BYTES_MAX);
    const part: RunRequestEntry = {
      kind: { $case: "part", value: { partStream: 1, data, last: true, aborted: false } },
    };
    link.send({ sequence: 1, acknowledged: 0, control: undefined, entries: [register(ID), part] });
    expect((await settles(link.closed, () => "the link")).reason).not.toBe("local");
    await others();
  });

  test("a job whose code nobody has fails with a clear error, and only it", async () => {
    const link = await dialClient();
    greet(link);
    const entries = [register(ID), openPool(), openJob(1), offer(1, 0), seal(1)];
    link.send({ sequence: 1, acknowledged: 0, control: undefined, entries });
    const ended = await settles(jobEnded(link), () => "the end of a job without code");
    expect(ended).toMatch(/no client has offered artifact/);
    await link[Symbol.asyncDispose]();
    await others();
  });

  test("user code that writes into its worker's own pipe loses that worker only, and the item is named", async () => {
    const fabric = await cluster.fabric();
    await using pool = fabric.pool();
    const healthy = pool.map(cluster.tasks.slowSquare(1), range(500), { chunkSize: 10 });
    const error = await cluster.drive(
      pool.map(garbageOn3, range(6), { chunkSize: 1 }).catch((cause: unknown) => cause),
    );
    expect(error).toMatchObject({ name: "WorkerLostError", index: 3, stderrTail: expect.stringMatching(/frame/) });
    expect(await cluster.drive(healthy)).toHaveLength(500);
    await others();
  });

  async function others(): Promise<void> {
    const fabric = await cluster.fabric();
    await using pool = fabric.pool();
    expect(await cluster.drive(pool.map(cluster.tasks.square, range(5)))).toEqual([0, 1, 4, 9, 16]);
    expect((await fabric.nodes()).map((one) => one.name)).toEqual(cluster.nodes);
  }
});

const node = {
  name: "offender",
  slots: 1,
  labels: {},
  pid: 1,
  host: "",
  build: "",
  resources: {},
  cordon: undefined,
  lifetime: undefined,
};

function register(clientId: string): RunRequestEntry {
  return { kind: { $case: "registerClient", value: { clientId, description: "an offender" } } };
}
function openPool(): RunRequestEntry {
  return { kind: { $case: "openPool", value: OpenPool.create({ poolId: ID }) } };
}
function openJob(job: number, more: Partial<OpenJob> = {}): RunRequestEntry {
  const fn = FunctionRef.create({ artifact: HASH, exportName: "f", displayName: "f" });
  const value = {
    ...OpenJob.create({ job, jobId: `offence-${process.hrtime.bigint()}`, poolId: ID, function: fn }),
    ...more,
  };
  return { kind: { $case: "openJob", value } };
}
function offer(job: number, chunk: number, values: unknown[] = [1], grain = 0): RunRequestEntry {
  const { encoding, count, bytes } = encodePayload(values, "argument");
  const input = { encoding, count, size: bytes.byteLength, data: bytes, partStream: 0 };
  return { kind: { $case: "offerChunk", value: { job, chunk, firstIndex: 0, input, grain, settled: [] } } };
}
function lyingOffer(): RunRequestEntry {
  const input = { encoding: 3 as const, count: 1, size: 99, data: new Uint8Array(8), partStream: 0 };
  return { kind: { $case: "offerChunk", value: { job: 1, chunk: 0, firstIndex: 0, input, grain: 0, settled: [] } } };
}
function seal(job: number): RunRequestEntry {
  return { kind: { $case: "sealJob", value: { job, chunkCount: 1 } } };
}

function greet<Out, In>(link: Link<Frame<Out>, Frame<In>>, speaks: Version = version): void {
  const sessionId = crypto.randomUUID().replaceAll("-", "");
  const hello = { version: speaks, sessionId, received: 0 };
  link.send({ sequence: 0, acknowledged: 0, control: { kind: { $case: "hello", value: hello } }, entries: [] });
}

/** Greets, says it, and gives the words of the goodbye. */
async function offend<Out, In>(link: Link<Frame<Out>, Frame<In>>, entries: Out[], speaks?: Version): Promise<string> {
  greet(link, speaks);
  link.send({ sequence: 1, acknowledged: 0, control: undefined, entries });
  return await goodbyeOf(link);
}

async function goodbyeOf<Out, In>(link: Link<Frame<Out>, Frame<In>>): Promise<string> {
  const wait = async (): Promise<string> => {
    for await (const { control } of link.incoming)
      if (control?.kind?.$case === "goodbye") return `${control.kind.value.code}: ${control.kind.value.message}`;
    return "no goodbye";
  };
  const words = await settles(wait(), () => "a goodbye");
  await link[Symbol.asyncDispose]();
  return words;
}

async function jobEnded(link: ClientLink): Promise<string> {
  for await (const { entries } of link.incoming)
    for (const { kind } of entries) if (kind?.$case === "jobEnded") return kind.value.error?.message ?? "no error";
  return "no end";
}
