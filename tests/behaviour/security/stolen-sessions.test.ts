import { createGrpcClient } from "@heddle/adapter-grpc";
import { openAuthority } from "@heddle/adapter-grpc/testing";
import { PermissionError, type Role, silentLogger } from "@heddle/kernel";
import type { Frame, Link, RpcClient, StreamMethod } from "@heddle/port-rpc";
import {
  jobsRun,
  nodesAttach,
  type OperateRequestEntry,
  type OperateResponseEntry,
  objectsAdminBreakLock,
  objectsOperate,
  protocolVersion,
  sessionsKeepAlive,
} from "@heddle/wire";
import { connect } from "heddle";
import { afterAll, afterEach, beforeEach, expect, test } from "vitest";
import { failure } from "../../harness/waiting.ts";
import { SecureServers, type ServedParty } from "./secure-servers.ts";

const authority = openAuthority();
afterAll(() => authority[Symbol.dispose]());

let scope: AsyncDisposableStack;
let servers: SecureServers;
let coordinator: ServedParty;
let manager: ServedParty;

beforeEach(async () => {
  scope = new AsyncDisposableStack();
  servers = scope.use(await SecureServers.start(authority));
  coordinator = scope.use(await servers.serve("coordinator"));
  manager = scope.use(await servers.serve("manager"));
});
afterEach(() => scope.disposeAsync());

function clientOf(role: Role, name: string): RpcClient {
  return scope.use(createGrpcClient({ tls: authority.issue(role, name), log: silentLogger }));
}

/** A link on which a session was asked for, and the first word that came back. */
async function greeted<Out, In>(
  client: RpcClient,
  method: StreamMethod<Frame<Out>, Frame<In>>,
  address: string,
  sessionId: string,
) {
  const link = await client.dial(method, address, new AbortController().signal);
  scope.defer(() => link[Symbol.asyncDispose]());
  const value = { version: protocolVersion("test", 24), sessionId, received: 0 };
  link.send({ sequence: 0, acknowledged: 0, control: { kind: { $case: "hello", value } }, entries: [] });
  const incoming = link.incoming[Symbol.asyncIterator]();
  const first = (await incoming.next()).value as Frame<In> | undefined;
  return { link, incoming, word: first?.control?.kind };
}

type Asked = Awaited<ReturnType<typeof greeted>>["word"];

const cases: readonly [
  what: string,
  role: Role,
  ask: (client: RpcClient, sessionId: string) => Promise<{ readonly word: Asked }>,
][] = [
  [
    "a program's session with the coordinator",
    "client",
    (client, id) => greeted(client, jobsRun, coordinator.address, id),
  ],
  [
    "an agent's session with the coordinator",
    "agent",
    (client, id) => greeted(client, nodesAttach, coordinator.address, id),
  ],
  [
    "a program's session with the manager",
    "client",
    (client, id) => greeted(client, objectsOperate, manager.address, id),
  ],
];

test.each(cases)("the id of %s is of no use to another certificate", async (_what, role, ask) => {
  const id = "5".repeat(32);
  const [own, other] = [clientOf(role, "alice"), clientOf(role, "bob")];
  expect((await ask(own, id)).word).toMatchObject({ $case: "welcome", value: { resumed: false } });
  expect((await ask(other, id)).word).toEqual({
    $case: "goodbye",
    value: { code: "permission", message: `the session belongs to somebody else than ${role} "bob"` },
  });
  expect((await ask(own, id)).word).toMatchObject({ $case: "welcome", value: { resumed: true } });
});

type OperateLink = Link<Frame<OperateRequestEntry>, Frame<OperateResponseEntry>>;
type Word = NonNullable<OperateRequestEntry["kind"]>;

/** Says one thing on a new stream to the manager, and gives what it says of a session. */
async function says(client: RpcClient, word: Word, id: string): Promise<unknown> {
  const { link, incoming } = await greeted(client, objectsOperate, manager.address, id);
  (link as OperateLink).send({ sequence: 1, acknowledged: 0, control: undefined, entries: [{ kind: word }] });
  for (;;) {
    const { value, done } = await incoming.next();
    if (done === true) return "over";
    const [entry] = value.entries;
    if (entry?.kind !== undefined) return entry.kind;
    if (value.control?.kind?.$case === "goodbye") return value.control.kind;
  }
}

test("the number and nonce of a leased session are of no use to another certificate, nor are beats for it", async () => {
  const [alice, bob] = [clientOf("client", "alice"), clientOf("client", "bob")];
  const nonce = "a".repeat(32);
  const opening: Word = { $case: "openSession", value: { nonce, ttlMs: 15_000, description: "alice's" } };
  const opened = await says(alice, opening, "1".repeat(32));
  expect(opened).toMatchObject({ $case: "sessionOpened" });
  const { session } = (opened as { value: { session: number } }).value;
  const refusal = {
    $case: "goodbye",
    value: { code: "permission", message: `session ${session} belongs to somebody else than client "bob"` },
  };
  const attaching: Word = { $case: "attachSession", value: { session, nonce } };
  expect(await says(bob, attaching, "2".repeat(32))).toEqual(refusal);
  expect(await says(bob, opening, "3".repeat(32))).toEqual(refusal);
  const guessing: Word = { $case: "attachSession", value: { session, nonce: "" } };
  expect(await says(bob, guessing, "4".repeat(32))).toMatchObject({
    $case: "sessionEnded",
    value: { code: "unknown" },
  });
  expect(await says(alice, attaching, "6".repeat(32))).toMatchObject({ $case: "sessionOpened", value: { session } });

  const carol = clientOf("agent", "carol");
  for (const [client, address, said, alive] of [
    [bob, manager.address, nonce, false],
    [bob, manager.address, "", false],
    [bob, coordinator.address, "", false],
    [bob, coordinator.address, "b".repeat(32), false],
    [carol, coordinator.address, "", false],
    [alice, manager.address, "", false],
    [alice, manager.address, nonce, true],
    [alice, coordinator.address, nonce, true],
  ] as const) {
    const beats = await client.dial(sessionsKeepAlive, address, new AbortController().signal);
    beats.send({ session, beat: 1, nonce: said });
    for await (const answer of beats.incoming) {
      expect(answer).toMatchObject({ session, beat: 1, alive });
      break;
    }
    await beats[Symbol.asyncDispose]();
  }
});

test("who breaks a lock is in the log of the manager, and where it went through a coordinator in the log of that", async () => {
  const { caFile, certFile, keyFile } = authority.issue("client", "alice");
  await using fabric = await connect(coordinator.address, { tls: { caFile, certFile, keyFile } });
  await using holder = fabric.manager();
  const lock = holder.lock({ name: "ledger" });
  const request = { object: "ledger", reason: "a test" };
  const root = clientOf("admin", "root");
  for (const { address } of [coordinator, manager]) {
    await lock.acquire();
    await root.call(objectsAdminBreakLock, address, request, { timeoutMs: 5_000 });
    const refused = failure(
      clientOf("client", "bob").call(objectsAdminBreakLock, address, request, { timeoutMs: 5_000 }),
    );
    expect(await refused).toBeInstanceOf(PermissionError);
  }
  const asked = { object: "ledger", reason: "a test" };
  const broken = { object: "@ledger", held: 1, reason: "a test" };
  expect(servers.said.filter(({ message }) => message.includes(" a lock") || message.startsWith("a lock"))).toEqual([
    { message: "the manager is asked to break a lock", fields: { ...asked, role: "admin", name: "root" } },
    { message: "a lock was broken", fields: { ...broken, role: "coordinator", name: "c1" } },
    { message: "a lock was broken", fields: { ...broken, role: "admin", name: "root" } },
  ]);
});
