import { memoryBlobs } from "@heddle/port-blobs";
import { memoryJobStore } from "@heddle/port-job-store";
import { dialSession, MemoryNetwork, type SessionEnd, streamRoute, unaryRoute } from "@heddle/port-rpc";
import { manualEnvironment } from "@heddle/port-rpc/testing";
import {
  adminGetStatus,
  type KeepAliveRequest,
  type KeepAliveResponse,
  objectsAdminListSessions,
  objectsOperate,
  protocolVersion,
  sessionsKeepAlive,
} from "@heddle/wire";
import { expect, onTestFinished, test } from "vitest";
import { CoordinatorShell } from "./coordinator.ts";
import { settle } from "./testing.ts";

async function coordinator(manager: string | undefined) {
  const env = manualEnvironment();
  const network = new MemoryNetwork(env);
  onTestFinished(() => network[Symbol.asyncDispose]());
  const shell = new CoordinatorShell({
    ...{ env, blobs: memoryBlobs(), jobs: memoryJobStore(), build: "test", nodeMajor: 24, pid: 1 },
    ...(manager === undefined ? {} : { manager: { address: manager, client: network } }),
  });
  await shell.start();
  await network.listen("coordinator", shell.routes);
  return { env, network, shell };
}

type BeatLink = import("@heddle/port-rpc").Link<KeepAliveResponse, KeepAliveRequest>;

test("a coordinator says where its manager is, and an empty address when it has none", async () => {
  for (const manager of ["somewhere", undefined]) {
    const { network } = await coordinator(manager);
    const status = await network.call(adminGetStatus, "coordinator", {}, { timeoutMs: 1_000 });
    expect(status.manager).toBe(manager ?? "");
  }
});

test("streams to the manager go through the coordinator, both ways, and end with each other", async () => {
  const { network, shell } = await coordinator("manager");
  const accepted: BeatLink[] = [];
  const manager = await network.listen("manager", [streamRoute(sessionsKeepAlive, (link) => accepted.push(link))]);
  const near = await network.dial(sessionsKeepAlive, "coordinator", new AbortController().signal);
  near.send({ session: 3, beat: 1, nonce: "n" });
  await settle();
  const [far] = accepted;
  const incoming = far?.incoming[Symbol.asyncIterator]();
  expect((await incoming?.next())?.value).toEqual({ session: 3, beat: 1, nonce: "n" });
  far?.send({ session: 3, beat: 1, alive: true, ttlMs: 9 });
  const answers = near.incoming[Symbol.asyncIterator]();
  expect((await answers.next()).value).toEqual({ session: 3, beat: 1, alive: true, ttlMs: 9 });
  await far?.[Symbol.asyncDispose]();
  expect(await answers.next()).toEqual({ done: true, value: undefined });
  expect((await near.closed).reason).toBe("remote");

  const again = await network.dial(sessionsKeepAlive, "coordinator", new AbortController().signal);
  await settle();
  await again[Symbol.asyncDispose]();
  expect((await accepted[1]?.closed)?.reason).toBe("remote");

  const last = await network.dial(sessionsKeepAlive, "coordinator", new AbortController().signal);
  await settle();
  await shell.stop(0);
  expect((await last.closed).reason).toBe("remote");
  await manager[Symbol.asyncDispose]();
});

test("a peer that does not read holds back the one that writes, through the coordinator", async () => {
  const { network } = await coordinator("manager");
  await network.listen("manager", [streamRoute(sessionsKeepAlive, () => undefined)]);
  const near = await network.dial(sessionsKeepAlive, "coordinator", new AbortController().signal);
  let sent = 0;
  for (; sent < 10_000; sent++) {
    if (near.send({ session: 1, beat: sent, nonce: "" })) continue;
    await settle();
    if (!near.send({ session: 1, beat: sent, nonce: "" })) break;
  }
  expect(sent).toBeLessThan(1_000);
});

test("a stream ends when the manager cannot be reached, so that its dialer tries again", async () => {
  const { network } = await coordinator("manager");
  const near = await network.dial(sessionsKeepAlive, "coordinator", new AbortController().signal);
  expect((await near.closed).reason).toBe("remote");
});

test("questions to the manager go through the coordinator, errors included", async () => {
  const { network } = await coordinator("manager");
  const ask = () => network.call(objectsAdminListSessions, "coordinator", { after: 0 }, { timeoutMs: 1_000 });
  await expect(ask()).rejects.toMatchObject({ code: "unavailable" });
  await network.listen("manager", [unaryRoute(objectsAdminListSessions, async () => ({ sessions: [], more: false }))]);
  expect(await ask()).toEqual({ sessions: [], more: false });
});

test("a coordinator without a manager refuses shared objects by naming the flag", async () => {
  const { env, network } = await coordinator(undefined);
  const ended = Promise.withResolvers<SessionEnd>();
  dialSession({
    ...{ env, client: network, address: "coordinator", version: protocolVersion("test", 24), method: objectsOperate },
    handler: { entries: () => undefined, ended: ended.resolve },
  });
  const end = await ended.promise;
  expect(end).toMatchObject({ reason: "goodbye", goodbye: { code: "state" } });
  expect(end.reason === "goodbye" && end.goodbye.message).toContain("heddle coordinator --manager ADDRESS");
  const ask = network.call(objectsAdminListSessions, "coordinator", { after: 0 }, { timeoutMs: 1_000 });
  await expect(ask).rejects.toThrow("heddle coordinator --manager ADDRESS");
  const beats = await network.dial(sessionsKeepAlive, "coordinator", new AbortController().signal);
  expect((await beats.closed).reason).toBe("remote");
});
