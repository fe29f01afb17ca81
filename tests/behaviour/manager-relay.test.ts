import { systemEnvironment } from "@heddle/adapter-system";
import { memoryBlobs } from "@heddle/port-blobs";
import { memoryJobStore } from "@heddle/port-job-store";
import { memoryJournal } from "@heddle/port-journal";
import { dialSession, type RpcClient, type Session } from "@heddle/port-rpc";
import { CoordinatorShell } from "@heddle/shell-coordinator";
import { ManagerShell } from "@heddle/shell-manager";
import {
  decodeReplies,
  Encoding,
  encodeOperations,
  encodeValue,
  type OperateRequestEntry,
  type OperateResponseEntry,
  type Operation,
  objectsAdminListSessions,
  objectsOperate,
  PayloadAssembler,
  protocolVersion,
  type Reply,
  sessionsKeepAlive,
  splitPayload,
  type VerbName,
  verbOf,
} from "@heddle/wire";
import { expect, onTestFinished, test } from "vitest";
import { localClient, localServer } from "../harness/local-rpc.ts";

const LIST = "@list";

/** A manager, and a coordinator that knows where it is, both over gRPC. */
async function servers() {
  const scope = new AsyncDisposableStack();
  onTestFinished(() => scope.disposeAsync());
  const env = systemEnvironment({ level: "error" });
  const server = localServer(env.log);
  const identity = { env, build: "test", nodeMajor: 24, pid: process.pid };
  const manager = new ManagerShell({ ...identity, journal: scope.use(memoryJournal()) });
  await manager.start();
  const managerAt = scope.use(await server.listen("127.0.0.1:0", manager.routes)).address;
  const client = scope.use(localClient());
  const coordinator = new CoordinatorShell({
    ...{ ...identity, blobs: memoryBlobs(), jobs: scope.use(memoryJobStore()) },
    manager: { address: managerAt, client },
  });
  await coordinator.start();
  const coordinatorAt = scope.use(await server.listen("127.0.0.1:0", coordinator.routes)).address;
  return { scope, env, manager, coordinator, managerAt, coordinatorAt };
}

/** A stream of operations through an address, in the hands of the test. */
function dial(env: ReturnType<typeof systemEnvironment>, client: RpcClient, address: string) {
  const replies: Reply[] = [];
  const assembler = new PayloadAssembler<undefined>();
  let heard = Promise.withResolvers<void>();
  let [seq, lastStream, session] = [0, 0, 0];
  const hear = ({ kind }: OperateResponseEntry): void => {
    if (kind?.$case === "sessionOpened") session = kind.value.session;
    if (kind?.$case === "replies" && kind.value.batch !== undefined) {
      const whole = assembler.open(kind.value.batch, undefined);
      if (whole !== undefined) replies.push(...decodeReplies(whole.bytes));
    }
    if (kind?.$case === "part") {
      const whole = assembler.add(kind.value)?.payload;
      if (whole !== undefined) replies.push(...decodeReplies(whole.bytes));
    }
    heard.resolve();
    heard = Promise.withResolvers();
  };
  const wire: Session<OperateRequestEntry> = dialSession({
    ...{ env, client, address, method: objectsOperate, version: protocolVersion("test", 24) },
    handler: { entries: (entries) => entries.forEach(hear), ended: () => undefined },
  });
  return {
    wire,
    session: () => session,
    open: () =>
      wire.send({
        kind: { $case: "openSession", value: { nonce: "a".repeat(32), ttlMs: 0, description: "through" } },
      }),
    ask: (verb: VerbName, values: readonly unknown[]) => {
      const plain = { numbers: [], guards: [], operations: [], expectations: [] };
      const encoded = values.map((value) => encodeValue(value, "value"));
      const operation: Operation = { ...plain, seq: ++seq, verb: verbOf(verb), object: LIST, values: encoded };
      const bytes = encodeOperations([operation]);
      const payload = { encoding: Encoding.UNSPECIFIED, count: 1, bytes };
      const { header, parts } = splitPayload(payload, () => ++lastStream);
      wire.send(
        { kind: { $case: "operations", value: { owner: 0, batch: header, acknowledged: [] } } },
        header.data.length,
      );
      for (const part of parts) wire.send({ kind: { $case: "part", value: part } }, part.data.length);
    },
    answered: async (count: number): Promise<readonly Reply[]> => {
      while (replies.length < count) await heard.promise;
      return replies;
    },
  };
}

test("frames of every size pass through the coordinator over gRPC, both ways at once, as do beats and questions", async () => {
  const { scope, env, coordinatorAt } = await servers();
  const client = scope.use(localClient());
  const through = dial(env, client, coordinatorAt);
  scope.defer(() => through.wire.close());
  const [pieces, bytes] = [4, 2_000_000];
  through.open();
  through.ask("create", [{ kind: "list" }]);
  for (let at = 0; at < pieces; at++) {
    through.ask("list-append", [String.fromCharCode(97 + at).repeat(bytes)]);
    through.ask("list-slice", []);
  }
  const replies = await through.answered(1 + 2 * pieces);
  expect(replies.filter(({ error }) => error !== undefined)).toEqual([]);
  expect(replies.at(-1)?.values.map(({ length }) => length >= bytes)).toEqual(Array(pieces).fill(true));
  const beats = await client.dial(sessionsKeepAlive, coordinatorAt, new AbortController().signal);
  beats.send({ session: through.session(), beat: 1, nonce: "a".repeat(32) });
  for await (const answer of beats.incoming) {
    expect(answer).toEqual({ session: through.session(), beat: 1, alive: true, ttlMs: 15_000 });
    break;
  }
  await beats[Symbol.asyncDispose]();
  const { sessions } = await client.call(objectsAdminListSessions, coordinatorAt, { after: 0 }, { timeoutMs: 5_000 });
  expect(sessions).toMatchObject([{ session: through.session(), description: "through", connected: true }]);
});

test("a session goes on through another coordinator, or without one", async () => {
  const { scope, env, managerAt, coordinatorAt, coordinator } = await servers();
  const client = scope.use(localClient());
  const through = dial(env, client, coordinatorAt);
  through.open();
  through.ask("create", [{ kind: "list" }]);
  await through.answered(1);
  await coordinator.stop(0);
  const direct = dial(env, client, managerAt);
  scope.defer(() => direct.wire.close());
  direct.wire.send({ kind: { $case: "attachSession", value: { session: through.session(), nonce: "a".repeat(32) } } });
  direct.ask("create", [{ kind: "list" }]);
  direct.ask("list-append", ["x"]);
  direct.ask("list-slice", []);
  const replies = await direct.answered(3);
  expect(replies.map(({ seq, numbers, values }) => [seq, numbers, values.length])).toEqual([
    [1, [1], 0],
    [2, [], 0],
    [3, [], 1],
  ]);
  await through.wire.close();
});
