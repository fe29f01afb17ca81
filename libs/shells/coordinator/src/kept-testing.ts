import { sha256Hex } from "@heddle/port-blobs";
import { MemoryJobs } from "@heddle/port-job-store";
import type { Caller } from "@heddle/port-rpc";
import { decodePayload, type IndexSpan, type Keep, type OpenJob } from "@heddle/wire";
import {
  type Bench,
  type BenchOptions,
  type Client,
  finish,
  inline,
  type Node,
  openBench,
  openJob,
  settle,
} from "./testing.ts";

/** The code of all kept jobs here. */
export const CODE: Uint8Array = new TextEncoder().encode("export default 1");
export const HASH: string = sha256Hex(CODE);
export const DIGEST: string = "d".repeat(64);
export const ID: string = "1".repeat(32);

type AtEnd = Parameters<typeof openBench>[0];

/** One place where jobs are kept, and one life of a coordinator after the other on it. */
export class Lives {
  readonly disk: MemoryJobs;
  readonly #atEnd: AtEnd;
  readonly #options: BenchOptions;
  #current: Bench | undefined;

  /** `atEnd` is told what to do when the test is over. */
  constructor(atEnd: AtEnd, disk: MemoryJobs = new MemoryJobs(), options: BenchOptions = {}) {
    this.#atEnd = atEnd;
    this.disk = disk;
    this.#options = options;
  }

  /** Kills the last coordinator, if there was one, and starts the next. */
  async next(): Promise<Bench> {
    await this.#current?.network[Symbol.asyncDispose]();
    this.disk.kill();
    this.#current = await openBench(this.#atEnd, { ...this.#options, disk: this.disk });
    return this.#current;
  }
}

/** A client that has the code, and sends it when asked. */
export async function keeper(bench: Bench, clientId = ID, caller?: Caller, address?: string): Promise<Client> {
  const client = await bench.client({}, caller, clientId, address);
  client.say({ $case: "offerArtifact", value: { hash: HASH, size: CODE.byteLength } });
  await sendCode(client);
  return client;
}

/** Sends the code as often as it was asked for and not sent. */
export async function sendCode(client: Client): Promise<void> {
  await settle();
  const content = { encoding: 0 as const, count: 0, size: CODE.byteLength, data: CODE, partStream: 0 };
  for (const { hash } of client.said("wantArtifact"))
    client.say({ $case: "artifactContent", value: { hash, content, missing: "" } }, CODE.byteLength);
  await settle();
}

export function openKept(client: Client, job: number, keep: Partial<Keep> = {}, open: Partial<OpenJob> = {}): void {
  const value = { detached: true, shape: "list", timeoutMs: 0, effectsOnce: false, ...keep };
  const fn = {
    ...{ artifact: HASH, exportName: "default", displayName: "fn" },
    ...{ closure: false, captured: new Uint8Array(0), capturedArtifact: "" },
  };
  openJob(client, job, { open: { function: fn, keep: value, ...open } });
}

/** Consecutive chunks of so many items each, from a chunk on. */
export function offerAll(client: Client, job: number, counts: readonly number[], from = 0): void {
  let firstIndex = 0;
  for (const [chunk, count] of counts.entries()) {
    const items = Array.from({ length: count }, (_, at) => firstIndex + at);
    const value = { job, chunk, firstIndex, input: inline(items), grain: 0, settled: [] };
    if (chunk >= from) client.say({ $case: "offerChunk", value }, value.input.size);
    firstIndex += count;
  }
}

export function seal(client: Client, job: number, chunkCount: number, digest = DIGEST): void {
  client.say({ $case: "sealKeptJob", value: { job, chunkCount, digest } }, 0);
}

/** All of a job, from its opening to its acceptance. */
export async function submit(
  client: Client,
  job: number,
  counts: readonly number[],
  keep: Partial<Keep> = {},
  open: Partial<OpenJob> = {},
): Promise<void> {
  openKept(client, job, keep, open);
  await settle();
  offerAll(client, job, counts);
  seal(client, job, counts.length);
  await settle();
}

export function attach(client: Client, job: number, jobId = "job-1", settled: IndexSpan[] = []): void {
  client.say({ $case: "attachJob", value: { job, jobId, settled } });
}

/** What a client was told of kept jobs, in short. */
export function told(client: Client): string[] {
  return client.heard.flatMap(({ $case, value }) => {
    switch ($case) {
      case "jobKept":
        return [`${value.job} kept ${value.chunks}${value.digest === "" ? "" : " whole"}`];
      case "jobAttached":
        return [`${value.job} attached to ${value.items}`];
      case "keptSpanDone": {
        const { encoding = 0, count = 0, data = new Uint8Array(0) } = value.values ?? {};
        const values = decodePayload({ encoding, count, bytes: data });
        return [`${value.job} ${value.span?.firstIndex}+${value.span?.count}: ${values.join()}`];
      }
      case "keptItemFailed":
        return [`${value.job} ${value.index} failed: ${value.failure?.summary}`];
      case "jobEnded":
        return [`${value.job} ended ${value.outcome}${value.error === undefined ? "" : ` ${value.error.code}`}`];
      default:
        return [];
    }
  });
}

/** Finishes what a node was given and has not finished, from the nth assignment on: each item's result is 10 times its index. Returns how many there are. */
export async function work(node: Node, from = 0, max = Number.POSITIVE_INFINITY): Promise<number> {
  await settle();
  let at = from;
  for (; at < Math.min(node.said("assignChunk").length, from + max); at++) {
    const assigned = node.said("assignChunk")[at];
    if (assigned === undefined) break;
    const { offset, count } = assigned.span ?? { offset: 0, count: assigned.input?.count ?? 0 };
    const items = Array.from({ length: count }, (_, item) => (assigned.firstIndex + offset + item) * 10);
    finish(node, assigned.assignment, { $case: "done", value: inline(items) });
    await settle();
  }
  return at;
}
