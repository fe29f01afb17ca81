import { NESTING_DEPTH_MAX } from "@heddle/kernel";
import { ProcessSignal, StartProcess } from "@heddle/wire";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { CLIENT_PROCESSES_MAX, NODE_PROCESSES_MAX } from "./limits.ts";
import { type Bench, type Client, type Node, openBench, settle } from "./testing.ts";

let bench: Bench;
beforeEach(async () => {
  bench = await openBench((close) => onTestFinished(close));
});

const target = { function: { artifact: "f".repeat(64), exportName: "default", displayName: "fn" } };

function start(client: Client, process: number, more: Partial<StartProcess> = {}): void {
  const base = StartProcess.fromPartial({ process, target, name: `p${process}`, path: `${process}` });
  client.say({ $case: "startProcess", value: { ...base, parent: { name: "MainProcess", pid: 1 }, ...more } });
}

/** The numbers that a node knows its processes by, by their names. */
function keys(node: Node): Record<string, number> {
  return Object.fromEntries(node.said("startProcess").map(({ name, process }) => [name, process]));
}

function ends(node: Node, process: number, exitCode = 0): void {
  node.say({ $case: "processEnded", value: { process, end: { $case: "exitCode", value: exitCode }, why: "" } }, 0);
}

function refuses(node: Node, name: string, message: string): void {
  const error = { code: "unavailable", message, path: "", side: "", limitName: "", limit: 0, actual: 0 };
  const end = { $case: "refused", value: { ...error, cause: new Uint8Array(0) } } as const;
  node.say({ $case: "processEnded", value: { process: keys(node)[name] ?? 0, end, why: "" } }, 0);
}

const signals = (node: Node) => node.said("signalProcess").map(({ process, signal }) => [process, signal]);

test("a process goes to the node with the fewest, and its client is told when it runs and how it ends", async () => {
  const [a, b, client] = [await bench.node("a", 0), await bench.node("b", 0), await bench.client()];
  for (const process of [1, 2, 3]) start(client, process);
  await settle();
  expect([Object.keys(keys(a)), Object.keys(keys(b))]).toEqual([["p1", "p3"], ["p2"]]);
  const { p3 = 0 } = keys(a);
  a.say({ $case: "processStarted", value: { process: p3, node: "lies", pid: 77 } });
  ends(a, p3, 5);
  await settle();
  expect(client.said("processStarted")).toEqual([{ process: 3, node: "a", pid: 77 }]);
  expect(client.said("processEnded")).toEqual([{ process: 3, end: { $case: "exitCode", value: 5 }, why: "" }]);
  start(client, 4);
  await settle();
  expect(Object.keys(keys(a))).toEqual(["p1", "p3", "p4"]);
});

test("signals reach the node, and nothing is said of a process that is over", async () => {
  const [a, client] = [await bench.node("a", 0), await bench.client()];
  start(client, 1);
  client.say({ $case: "signalProcess", value: { process: 1, signal: ProcessSignal.TERMINATE } });
  client.say({ $case: "signalProcess", value: { process: 9, signal: ProcessSignal.KILL } });
  await settle();
  const { p1 = 0 } = keys(a);
  expect(signals(a)).toEqual([[p1, ProcessSignal.TERMINATE]]);
  ends(a, p1);
  ends(a, p1);
  await settle();
  client.say({ $case: "signalProcess", value: { process: 1, signal: ProcessSignal.KILL } });
  await settle();
  expect([signals(a).length, client.said("processEnded").length]).toEqual([1, 1]);
});

test("one that its node cannot start goes to another one, and the next ones do so at once", async () => {
  const [a, b, client] = [await bench.node("a", 0), await bench.node("b", 0), await bench.client()];
  start(client, 1);
  await settle();
  refuses(a, "p1", "no memory");
  await settle();
  expect([Object.keys(keys(b)), client.said("processEnded")]).toEqual([["p1"], []]);
  b.say({ $case: "processStarted", value: { process: keys(b).p1 ?? 0, node: "b", pid: 7 } });
  for (const process of [2, 3]) start(client, process);
  await settle();
  expect(client.said("processStarted")).toEqual([{ process: 1, node: "b", pid: 7 }]);
  expect([Object.keys(keys(a)), Object.keys(keys(b))]).toEqual([["p1"], ["p1", "p2", "p3"]]);
  start(client, 4, { node: "a" });
  await settle();
  a.say({ $case: "processStarted", value: { process: keys(a).p4 ?? 0, node: "a", pid: 8 } });
  await settle();
  start(client, 5);
  await settle();
  expect(Object.keys(keys(a))).toEqual(["p1", "p4", "p5"]); // it can, again
});

test("one that no node can start is refused with what they say, and is not tried for ever", async () => {
  const nodes = new Map<string, Node>();
  for (const name of ["a", "b", "c", "d"]) nodes.set(name, await bench.node(name, 0));
  const client = await bench.client();
  start(client, 1);
  for (const node of nodes.values()) {
    await settle();
    if ("p1" in keys(node)) refuses(node, "p1", "no memory");
  }
  await settle();
  expect([...nodes].flatMap(([name, node]) => ("p1" in keys(node) ? [name] : []))).toEqual(["a", "b", "c"]);
  const message = "none of 3 nodes could start p1: a: no memory; b: no memory; c: no memory";
  expect(client.said("processEnded")).toMatchObject([
    { process: 1, end: { $case: "refused", value: { code: "unavailable", message } } },
  ]);
});

test.for<readonly [what: string, more: Partial<StartProcess>, signalled: boolean]>([
  ["is wanted on that node", { node: "a" }, false],
  ["was told to end", {}, true],
])("one that its node cannot start and that %s is refused", async ([, more, signalled]) => {
  const [a, b, client] = [await bench.node("a", 0), await bench.node("b", 0), await bench.client()];
  start(client, 1, more);
  if (signalled) client.say({ $case: "signalProcess", value: { process: 1, signal: ProcessSignal.TERMINATE } });
  await settle();
  refuses(a, "p1", "no memory");
  await settle();
  expect(keys(b)).toEqual({});
  expect(client.said("processEnded")).toMatchObject([{ process: 1, end: { value: { message: "no memory" } } }]);
});

test("one that goes elsewhere learns there that whoever started it is gone", async () => {
  const [a, b] = [await bench.node("a", 0), await bench.node("b", 0)];
  const client = await bench.client();
  start(client, 1);
  await settle();
  const nested = await bench.client();
  start(nested, 2, { parentProcess: keys(a).p1 ?? 0, daemon: false });
  await settle();
  expect(Object.keys(keys(b))).toEqual(["p2"]);
  ends(a, keys(a).p1 ?? 0);
  await settle();
  refuses(b, "p2", "no memory");
  await settle();
  expect(a.said("parentEnded")).toEqual([{ process: keys(a).p2 }]);
});

test("one that no node fits waits for one, and a signal ends it meanwhile", async () => {
  const [a, client] = [await bench.node("a", 0), await bench.client()];
  const requirements = { labels: { disk: "fast" }, resources: {} };
  start(client, 1, { requirements });
  start(client, 2, { requirements });
  client.say({ $case: "signalProcess", value: { process: 1, signal: ProcessSignal.KILL } });
  await settle();
  expect(keys(a)).toEqual({});
  expect(client.said("processEnded")).toEqual([{ process: 1, end: { $case: "signal", value: "SIGKILL" }, why: "" }]);
  const b = await bench.node("b", 0, { labels: { disk: "fast" } });
  expect(Object.keys(keys(b))).toEqual(["p2"]);
});

test("a node by name must be there", async () => {
  const [a, client] = [await bench.node("a", 0), await bench.client()];
  start(client, 1, { node: "b" });
  a.say({ $case: "leaveNode", value: { lifetime: undefined } });
  await settle();
  start(client, 2, { node: "a" });
  await settle();
  const refusals = client
    .said("processEnded")
    .map(({ end }) => (end?.$case === "refused" ? end.value.code : end?.$case));
  expect(refusals).toEqual(["unschedulable", "unschedulable"]);
});

test("a client's processes, and a node's, have a limit that is named", async () => {
  const [a, client, other] = [await bench.node("a", 0), await bench.client(), await bench.client()];
  for (let process = 1; process <= NODE_PROCESSES_MAX + 1; process++) start(client, process);
  await settle();
  expect(a.said("startProcess")).toHaveLength(NODE_PROCESSES_MAX);
  expect(client.said("processEnded")).toMatchObject([
    {
      process: NODE_PROCESSES_MAX + 1,
      end: { value: { code: "limit", limitName: "NODE_PROCESSES_MAX", limit: NODE_PROCESSES_MAX } },
    },
  ]);
  const requirements = { labels: { disk: "none" }, resources: {} };
  for (let process = 1; process <= CLIENT_PROCESSES_MAX + 1; process++) start(other, process, { requirements });
  await settle();
  const refused = { code: "limit", limitName: "CLIENT_PROCESSES_MAX", limit: CLIENT_PROCESSES_MAX };
  expect(other.said("processEnded")).toMatchObject([{ process: CLIENT_PROCESSES_MAX + 1, end: { value: refused } }]);
});

test("a process is lost with its node: it was killed, and why is said", async () => {
  const [a, client] = [await bench.node("a", 0), await bench.client()];
  start(client, 1);
  await settle();
  await a.session?.close();
  await settle();
  const killed = { $case: "signal", value: "SIGKILL" };
  expect(client.said("processEnded")).toEqual([{ process: 1, end: killed, why: "node a was lost with it" }]);
});

test("what a client has started is stopped when it is gone, and hears first that it is", async () => {
  const [a, client] = [await bench.node("a", 0), await bench.client()];
  start(client, 1);
  start(client, 2, { daemon: true });
  start(client, 3, { requirements: { labels: { disk: "none" }, resources: {} } });
  await settle();
  await client.session?.close();
  await settle();
  const { p1 = 0, p2 = 0 } = keys(a);
  expect(a.said("parentEnded").map(({ process }) => process)).toEqual([p1, p2]);
  expect(signals(a)).toEqual([
    [p1, ProcessSignal.STOP],
    [p2, ProcessSignal.STOP],
  ]);
  const late = await bench.node("b", 0, { labels: { disk: "none" } });
  expect(keys(late)).toEqual({});
});

test("children of a process outlive it unless they are daemons, and belong to its program", async () => {
  const [a, program, nested] = [await bench.node("a", 0), await bench.client(), await bench.client()];
  start(program, 1);
  await settle();
  const { p1 = 0 } = keys(a);
  start(nested, 1, { name: "free", parentProcess: p1, depth: 1 });
  start(nested, 2, { name: "bound", parentProcess: p1, depth: 1, daemon: true });
  await settle();
  const { free = 0, bound = 0 } = keys(a);
  a.say(
    { $case: "output", value: { job: 0, process: free, processName: "", place: undefined, stderr: false, text: "hi" } },
    2,
  );
  await nested.session?.close();
  await settle();
  expect([a.said("parentEnded"), signals(a)]).toEqual([[], [[bound, ProcessSignal.STOP]]]);
  ends(a, p1);
  await settle();
  expect(a.said("parentEnded").map(({ process }) => process)).toEqual([free, bound]);
  expect(program.said("output")).toMatchObject([{ process: 0, processName: "free", text: "hi" }]);
  await program.session?.close();
  await settle();
  expect(signals(a).filter(([process]) => process === free)).toEqual([[free, ProcessSignal.STOP]]);
});

test("a process that is over starts no other", async () => {
  const [, nested] = [await bench.node("a", 0), await bench.client()];
  start(nested, 1, { parentProcess: 12_345 });
  await settle();
  expect(nested.said("processEnded")).toMatchObject([{ process: 1, end: { value: { code: "state" } } }]);
});

test.for<readonly [what: string, more: Partial<StartProcess>]>([
  ["without a target", { target: undefined }],
  ["without a name", { name: "" }],
  ["with a long path", { path: "1:".repeat(101) }],
  ["that is too deep", { depth: NESTING_DEPTH_MAX + 1 }],
  ["whose number is in use", { process: 1 }],
  [
    "whose arguments are too large for their place",
    { target: { function: undefined, args: new Uint8Array(513), argsArtifact: "" } },
  ],
])("a client is dropped for a process %s", async ([, more]) => {
  const [, client] = [await bench.node("a", 0), await bench.client()];
  start(client, 1);
  start(client, 2, more);
  await settle();
  expect(client.end).toMatchObject({ reason: "goodbye", goodbye: { code: "protocol" } });
});

test("a client is dropped for a signal that is the coordinator's own", async () => {
  const client = await bench.client();
  client.say({ $case: "signalProcess", value: { process: 1, signal: ProcessSignal.STOP } });
  await settle();
  expect(client.end).toMatchObject({ reason: "goodbye", goodbye: { code: "protocol" } });
});

test("a coordinator that stops starts none, and waits for those there are", async () => {
  const [a, client] = [await bench.node("a", 0), await bench.client()];
  start(client, 1);
  await settle();
  const { p1 = 0 } = keys(a);
  let stopped = false;
  const stopping = bench.shell.stop(60_000).then(() => {
    stopped = true;
  });
  start(client, 2);
  await settle();
  expect([stopped, client.said("processEnded").map(({ process }) => process)]).toEqual([false, [2]]);
  ends(a, p1);
  await stopping;
  expect(stopped).toBe(true);
});
