import { ARTIFACT_BYTES_MAX, type ArtifactHash, ProtocolError, silentLogger } from "@heddle/kernel";
import { type Blobs, memoryBlobs, sha256Hex } from "@heddle/port-blobs";
import { flowOf, PayloadInflow, PayloadOutflow, type RunResponseEntry } from "@heddle/wire";
import { expect, test } from "vitest";
import { Artifacts } from "./artifacts.ts";
import type { ClientRecord, NodeRecord } from "./ledger.ts";

const CODE = new TextEncoder().encode("export default 1;\n");
const HASH = sha256Hex(CODE) as ArtifactHash;

/** Lets everything that is ready run. */
async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

/** A peer whose session notes what it is told. */
function peer() {
  const said: NonNullable<RunResponseEntry["kind"]>[] = [];
  const goodbyes: unknown[] = [];
  const session = {
    send: ({ kind }: { kind: never }) => void said.push(kind),
    close: async (goodbye: unknown) => void goodbyes.push(goodbye),
  };
  const record = {
    session,
    artifacts: new Set(),
    outflow: new PayloadOutflow(() => undefined),
  };
  return { said, goodbyes, client: record as unknown as ClientRecord, node: record as unknown as NodeRecord };
}

/** What a node was told of the artifact: the words why it is missing, empty when it came. */
function answers({ said }: ReturnType<typeof peer>): string[] {
  return said.flatMap((kind) => {
    const { $case, value } = kind as unknown as {
      readonly $case: string;
      readonly value: { readonly missing: string };
    };
    return $case === "artifactContent" ? [value.missing] : [];
  });
}

const content = (bytes: Uint8Array) => flowOf({ encoding: 0, count: 0, bytes });
const asked = [{ $case: "wantArtifact", value: { hash: HASH } }];

function open(blobs: Blobs = memoryBlobs()): Artifacts {
  return new Artifacts(blobs, silentLogger);
}

test("a client is asked for what is not here, and a node that waits for it gets it", async () => {
  const [artifacts, a, node] = [open(), peer(), peer()];
  artifacts.offered(a.client, HASH, CODE.length);
  await settle();
  expect(a.said).toEqual(asked);
  artifacts.wanted(node.node, HASH);
  await settle();
  expect(answers(node)).toEqual([]);
  artifacts.store(a.client, HASH, content(CODE));
  await settle();
  expect(answers(node)).toEqual([""]);
  const b = peer();
  artifacts.offered(b.client, HASH, CODE.length);
  await settle();
  expect(b.said).toEqual([]);
});

test("what nobody offered is refused in words", async () => {
  const [artifacts, node] = [open(), peer()];
  artifacts.wanted(node.node, HASH);
  await settle();
  expect(answers(node)).toEqual([`no client has offered artifact ${HASH}`]);
});

test("a client that leaves before it has sent its code lets down only those whom nobody else can help", async () => {
  const [artifacts, a, b, node] = [open(), peer(), peer(), peer()];
  artifacts.offered(a.client, HASH, CODE.length);
  artifacts.offered(b.client, HASH, CODE.length);
  artifacts.wanted(node.node, HASH);
  await settle();
  artifacts.left(a.client);
  await settle();
  expect(answers(node)).toEqual([]);
  artifacts.left(b.client);
  expect(answers(node)).toEqual([`the last client that had artifact ${HASH} is gone`]);
});

test("what one client sends wrong costs that client only", async () => {
  const [artifacts, a, b, node] = [open(), peer(), peer(), peer()];
  artifacts.offered(a.client, HASH, CODE.length);
  artifacts.offered(b.client, HASH, CODE.length);
  artifacts.wanted(node.node, HASH);
  await settle();
  artifacts.store(a.client, HASH, content(new Uint8Array(3)));
  await settle();
  expect(a.goodbyes).toMatchObject([{ code: "protocol" }]);
  expect(answers(node)).toEqual([]);
  artifacts.store(b.client, HASH, content(CODE));
  await settle();
  expect(answers(node)).toEqual([""]);
});

test("an upload that is cut off is asked of another client", async () => {
  const [artifacts, a, b, node] = [open(), peer(), peer(), peer()];
  const inflow = new PayloadInflow();
  artifacts.offered(a.client, HASH, CODE.length);
  await settle();
  const header = { encoding: 0 as const, count: 0, size: CODE.length, data: new Uint8Array(0), partStream: 1 };
  artifacts.store(a.client, HASH, inflow.open(header, true));
  artifacts.wanted(node.node, HASH);
  artifacts.offered(b.client, HASH, CODE.length);
  await settle();
  inflow.abort();
  artifacts.left(a.client);
  artifacts.store(b.client, HASH, content(CODE));
  await settle();
  expect(answers(node)).toEqual([""]);
});

test("what was evicted is asked again of a client that has it", async () => {
  const kept = new Map<string, Uint8Array>();
  const blobs: Blobs = {
    put: async (hash, bytes) => void kept.set(hash, bytes),
    get: async (hash) => kept.get(hash),
    locate: async (hash) => (kept.has(hash) ? hash : undefined),
    [Symbol.asyncDispose]: async () => undefined,
  };
  const [artifacts, a, node] = [open(blobs), peer(), peer()];
  artifacts.offered(a.client, HASH, CODE.length);
  await settle();
  artifacts.store(a.client, HASH, content(CODE));
  await settle();
  kept.clear();
  artifacts.wanted(node.node, HASH);
  await settle();
  expect(a.said).toEqual([...asked, ...asked]);
  artifacts.store(a.client, HASH, content(CODE));
  await settle();
  expect(answers(node)).toEqual([""]);
});

test("a store that keeps nothing refuses, and does not ask for ever", async () => {
  const blobs: Blobs = {
    put: async () => undefined,
    get: async () => undefined,
    locate: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  };
  const [artifacts, a, node] = [open(blobs), peer(), peer()];
  artifacts.offered(a.client, HASH, CODE.length);
  artifacts.wanted(node.node, HASH);
  await settle();
  artifacts.store(a.client, HASH, content(CODE));
  await settle();
  expect(answers(node)).toEqual([`artifact ${HASH} was evicted at once`]);
});

test("a store that fails is not its client's fault, and nodes are told why", async () => {
  const blobs: Blobs = { ...memoryBlobs(), put: () => Promise.reject(new Error("ENOSPC")) };
  const [artifacts, a, node] = [open(blobs), peer(), peer()];
  artifacts.offered(a.client, HASH, CODE.length);
  artifacts.wanted(node.node, HASH);
  await settle();
  artifacts.store(a.client, HASH, content(CODE));
  await settle();
  expect(a.goodbyes).toEqual([]);
  expect(answers(node)).toEqual([`artifact ${HASH} cannot be stored: Error: ENOSPC`]);
});

test("what its client withdraws while nodes wait is asked of another client, and refused in words when there is none", async () => {
  const [artifacts, a, b, node] = [open(), peer(), peer(), peer()];
  artifacts.offered(a.client, HASH, CODE.length);
  await settle();
  artifacts.wanted(node.node, HASH);
  await settle();
  artifacts.offered(b.client, HASH, CODE.length);
  await settle();
  artifacts.withdrawn(a.client, HASH);
  artifacts.store(a.client, HASH, content(CODE));
  await settle();
  expect(b.said).toEqual(asked);
  expect(answers(node)).toEqual([]);
  artifacts.withdrawn(b.client, HASH);
  expect(answers(node)).toEqual([`artifact ${HASH} is withdrawn: its jobs are over`]);
  expect(artifacts.size).toBe(0);
});

test("a withdrawal of what was never offered changes nothing, and what was withdrawn can be offered again", async () => {
  const [artifacts, a, b] = [open(), peer(), peer()];
  artifacts.offered(a.client, HASH, CODE.length);
  artifacts.withdrawn(b.client, HASH);
  await settle();
  expect(artifacts.size).toBe(1);
  artifacts.withdrawn(a.client, HASH);
  artifacts.offered(a.client, HASH, CODE.length);
  await settle();
  artifacts.store(a.client, HASH, content(CODE));
  await settle();
  const node = peer();
  artifacts.wanted(node.node, HASH);
  await settle();
  expect(answers(node)).toEqual([""]);
});

test("code that is too large breaks the protocol, and code that is not offered any more is dropped", () => {
  const [artifacts, a] = [open(), peer()];
  expect(() => artifacts.offered(a.client, HASH, ARTIFACT_BYTES_MAX + 1)).toThrow(ProtocolError);
  artifacts.offered(a.client, HASH, CODE.length);
  artifacts.withdrawn(a.client, HASH);
  artifacts.withdrawn(a.client, HASH);
  artifacts.store(a.client, HASH, content(CODE));
  expect(artifacts.size).toBe(0);
});

test("nothing is remembered of clients that are gone", async () => {
  const [artifacts, a] = [open(), peer()];
  artifacts.offered(a.client, HASH, CODE.length);
  await settle();
  expect(artifacts.size).toBe(1);
  artifacts.left(a.client);
  expect(artifacts.size).toBe(0);
});
