import type { AssignmentId, Input, JobKey } from "@heddle/core-scheduler";
import { CoreDriver, type Environment, seededRandom, silentLogger } from "@heddle/kernel";
import { memoryBlobs } from "@heddle/port-blobs";
import { memoryJobStore } from "@heddle/port-job-store";
import { thisUser } from "@heddle/port-rpc";
import { type AttachRequestEntry, type AttachResponseEntry, flowOf, protocolVersion } from "@heddle/wire";
import { expect, onTestFinished, test } from "vitest";
import { Artifacts } from "./artifacts.ts";
import { ClientDesk } from "./client-desk.ts";
import { CordonDesk } from "./cordon-desk.ts";
import type { Office } from "./desk.ts";
import { JobHistory } from "./history.ts";
import { KeptSpace } from "./kept-space.ts";
import { type AssignmentRecord, type JobRecord, Ledger } from "./ledger.ts";
import { Counts } from "./metrics.ts";
import { NodeDesk } from "./node-desk.ts";

const clock = { nowMs: () => 0, setTimer: () => ({ [Symbol.dispose]: () => undefined }) };
const env: Environment = { clock, random: seededRandom(1), log: silentLogger };

/** A desk whose core is the test. */
function openDesk(core: Pick<Office, "ledger" | "feed" | "isOvertaken">): NodeDesk {
  const artifacts = new Artifacts(memoryBlobs(), silentLogger);
  const office: Office = {
    ...core,
    env,
    artifacts,
    unschedulableMs: 0,
    spill: undefined,
    counts: new Counts(),
    open: () => true,
  };
  const space = new KeptSpace({ store: memoryJobStore(), log: silentLogger, bytesMax: 1, failed: () => undefined });
  const history = new JobHistory({ env, space, timeOfDayMs: undefined });
  const keeping = { space, history, leaseMs: 15_000, timeOfDayMs: undefined, closer: undefined };
  const clients = new ClientDesk(office, keeping, () => undefined);
  const cordons = new CordonDesk(office, clients.processes);
  onTestFinished(() => cordons[Symbol.dispose]());
  return new NodeDesk(office, clients, cordons, () => undefined);
}

test("what a node held is known until the core has heard of its loss, also when its session ends in the middle of a wish", async () => {
  const ledger = new Ledger();
  const known: boolean[] = [];
  let endSession = (): void => undefined;
  const core = {
    step: (_nowMs: number, { type }: Input) => {
      if (type === "node-lost") known.push(ledger.assignments.has(id));
      return type === "timer-fired" ? ["a wish"] : [];
    },
  };
  const driver = new CoreDriver<Input, string>(core, clock, () => endSession());
  const id = 1 as AssignmentId;
  const desk = openDesk({ ledger, feed: (input) => driver.feed(input), isOvertaken: () => false });
  const session = {
    id: "1",
    peer: "n1",
    queuedBytes: 0,
    send: (_entry: AttachResponseEntry) => undefined,
    drained: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
  const handler = desk.onSession(
    session,
    { version: protocolVersion("test", 24), sessionId: "1", received: 0 },
    thisUser,
  );
  const described = { pid: 1, host: "", build: "", labels: {}, resources: {}, cordon: undefined, lifetime: undefined };
  const registered: AttachRequestEntry = {
    kind: { $case: "registerNode", value: { name: "n1", slots: 1, ...described } },
  };
  handler.entries([registered]);
  const [node] = ledger.nodes.values();
  const assignment = { id, node, job: {} } as AssignmentRecord;
  ledger.assignments.set(id, assignment);
  node?.assignments.set(1, assignment);
  endSession = () => handler.ended({ reason: "lost", message: "too many words wait for the peer" });
  driver.feed({ type: "timer-fired" });
  expect(known).toEqual([true]);
  await Promise.resolve();
  expect(ledger.assignments.size).toBe(0);
});

test("nothing is kept of what an attempt comes to whose items another has answered", () => {
  const ledger = new Ledger();
  const overtaken = new Set<AssignmentId>();
  const desk = openDesk({ ledger, feed: () => undefined, isOvertaken: (assignment) => overtaken.has(assignment) });
  const job = { key: 1 as JobKey } as JobRecord;
  ledger.jobs.set(job.key, job);
  const assignment = { id: 1 as AssignmentId, job, firstIndex: 0, offset: 0, count: 1 } as AssignmentRecord;
  const state = flowOf({ encoding: 0, count: 1, bytes: new Uint8Array(8) });
  desk.checkpointed(assignment, 0, state);
  expect(ledger.checkpoints.bytes).toBe(8);
  ledger.checkpoints.settled(job, 0, 1);
  overtaken.add(assignment.id);
  desk.checkpointed(assignment, 0, state);
  expect(ledger.checkpoints.bytes).toBe(0);
});
