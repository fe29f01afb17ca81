import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import {
  AdminDefinition,
  adminGetStatus,
  adminListJobs,
  adminListNodes,
  descriptorSetUrl,
  Encoding,
  JobsDefinition,
  jobsRun,
  NodesDefinition,
  nodesAttach,
  protocolVersion,
} from "./index.ts";

test("every method of the proto files has an object with its path and its messages", () => {
  const methods = [jobsRun, nodesAttach, adminGetStatus, adminListNodes, adminListJobs];
  const defined = [JobsDefinition, NodesDefinition, AdminDefinition].flatMap(({ fullName, methods: all }) =>
    Object.values(all).map(({ name, requestType, responseType }) => [
      `/${fullName}/${name}`,
      requestType,
      responseType,
    ]),
  );
  expect(methods.map(({ path, request, response }) => [path, request, response])).toEqual(defined);
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
  for (const service of ["Jobs", "Nodes", "Admin"]) expect(descriptors).toContain(service);
});
