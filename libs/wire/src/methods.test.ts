import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import {
  AdminDefinition,
  adminCancelJob,
  adminCordonNode,
  adminDescribeJob,
  adminDescribeNode,
  adminDrainNode,
  adminGetStatus,
  adminListJobs,
  adminListNodes,
  descriptorSetUrl,
  Encoding,
  JobsDefinition,
  jobsRun,
  NodesDefinition,
  nodesAttach,
  ObjectsAdminDefinition,
  ObjectsDefinition,
  objectsAdminBreakLock,
  objectsAdminDescribeLock,
  objectsAdminDescribeObject,
  objectsAdminListLocks,
  objectsAdminListObjects,
  objectsAdminListSessions,
  objectsOperate,
  protocolVersion,
  RunRequest,
  SessionsDefinition,
  sessionsKeepAlive,
} from "./index.ts";

test("every method of the proto files has an object with its path, and codecs of its messages", () => {
  const methods = [
    ...[jobsRun, nodesAttach, adminGetStatus, adminListNodes, adminDescribeNode, adminCordonNode, adminDrainNode],
    ...[adminListJobs, adminDescribeJob, adminCancelJob, objectsOperate, sessionsKeepAlive],
    ...[objectsAdminListObjects, objectsAdminDescribeObject, objectsAdminListLocks, objectsAdminDescribeLock],
    ...[objectsAdminListSessions, objectsAdminBreakLock],
  ];
  const services = [JobsDefinition, NodesDefinition, AdminDefinition, ObjectsDefinition, SessionsDefinition];
  const defined = [...services, ObjectsAdminDefinition].flatMap(({ fullName, methods: all }) =>
    Object.values(all).map((method) => ({ path: `/${fullName}/${method.name}`, ...method })),
  );
  expect(methods.map(({ path }) => path)).toEqual(defined.map(({ path }) => path));
  for (const [at, { requestType, responseType }] of defined.entries()) {
    expect(methods[at]?.request.decode(new Uint8Array(0))).toEqual(requestType.decode(new Uint8Array(0)));
    expect(methods[at]?.response.decode(new Uint8Array(0))).toEqual(responseType.decode(new Uint8Array(0)));
  }
});

test("frames that are encoded one after the other do not disturb each other, nor does one that cannot be encoded", () => {
  const frame = (sequence: number) => RunRequest.create({ sequence, entries: [] });
  const first = jobsRun.request.encode(frame(1)).finish();
  const second = jobsRun.request.encode(frame(2)).finish();
  expect(() => jobsRun.request.encode(RunRequest.create({ sequence: 3, acknowledged: -1 }))).toThrow();
  const fourth = jobsRun.request.encode(frame(4)).finish();
  expect([first, second, fourth].map((bytes) => jobsRun.request.decode(bytes).sequence)).toEqual([1, 2, 4]);
});

test("a build says that it reads every encoding there is", () => {
  const { encodings, minor, minMinor } = protocolVersion("1.2.3", 24);
  expect([...encodings].sort()).toEqual(
    Object.values(Encoding)
      .filter((encoding) => encoding !== Encoding.UNSPECIFIED)
      .sort(),
  );
  expect(minMinor).toBeLessThanOrEqual(minor);
});

test("the descriptor set is where its URL says, and knows the services", () => {
  const descriptors = readFileSync(descriptorSetUrl).toString("latin1");
  for (const service of ["Jobs", "Nodes", "Admin", "Objects", "Sessions", "ObjectsAdmin"])
    expect(descriptors).toContain(service);
});
