import { LimitError, PoolInitError, SerializationError, WorkerLostError } from "@heddle/kernel";
import { Encoding, encodeError, type FabricError, type Failure } from "@heddle/wire";
import { expect, test } from "vitest";
import { fabricErrorOf, failureError } from "./failure.ts";

const localStack = (stack: string): string => stack;
const context = { jobId: "job-1", chunk: 3, index: 42, localStack };
const place = { node: "n1", pid: 7, attempt: 2 };

function failure(kind: Failure["kind"]): Failure {
  return { offset: 2, place, summary: "RangeError: no 42", kind };
}

function refusal(value: Partial<FabricError>): FabricError {
  return {
    code: "",
    message: "",
    path: "",
    side: "",
    limitName: "",
    limit: 0,
    actual: 0,
    cause: new Uint8Array(0),
    ...value,
  };
}

function userFailure(thrown: unknown) {
  return failureError(
    failure({
      $case: "userError",
      value: { encoding: Encoding.MSGPACK, count: 1, size: 0, data: new Uint8Array(), partStream: 1 },
    }),
    encodeError(thrown),
    context,
  );
}

test("a user's error comes back as its class, with its cause and where it happened", () => {
  const error = userFailure(new RangeError("no 42", { cause: new TypeError("why") })) as RangeError & {
    remote: { stack: string };
  };
  expect(error).toBeInstanceOf(RangeError);
  expect(error.message).toBe("no 42");
  expect(error.cause).toBeInstanceOf(TypeError);
  expect(error.remote).toMatchObject({ node: "n1", pid: 7, attempt: 2, jobId: "job-1", chunk: 3, index: 42 });
  expect(error.remote.stack).toContain("RangeError: no 42");
});

test("what was thrown and cannot carry where it happened is thrown as it is", () => {
  for (const thrown of [5, "text", null, undefined, true]) expect(userFailure(thrown)).toBe(thrown);
});

test("a user's error without its bytes says its summary", () => {
  const value = { encoding: Encoding.MSGPACK, count: 1, size: 0, data: new Uint8Array(), partStream: 0 };
  const error = failureError(failure({ $case: "userError", value }), undefined, context);
  expect(error).toMatchObject({ message: "RangeError: no 42", remote: { index: 42 } });
});

test("a worker's death is a WorkerLostError that says everything known", () => {
  const value = { signal: "SIGKILL", exitCode: undefined, rssBytes: 1_000, stderrTail: "out of memory" };
  const error = failureError(failure({ $case: "workerLoss", value }), undefined, context);
  expect(error).toBeInstanceOf(WorkerLostError);
  expect(error).toMatchObject({
    index: 42,
    node: "n1",
    pid: 7,
    signal: "SIGKILL",
    exitCode: null,
    rssBytes: 1_000,
    attempts: 2,
    stderrTail: "out of memory",
  });
  expect((error as Error).message).toMatch(/item 42 was given up after 2 attempts.*n1.*7\)\nout of memory/);
});

test("a worker that exited has a status and no signal, and an unknown place is no place", () => {
  const value = { signal: "", exitCode: 3, rssBytes: 0, stderrTail: "" };
  const error = failureError({ ...failure({ $case: "workerLoss", value }), place: undefined }, undefined, context);
  expect(error).toMatchObject({ signal: null, exitCode: 3, node: "", pid: 0, attempts: 1 });
});

test("the fabric's own error in a worker keeps path, side and where it happened", () => {
  const value = refusal({ code: "serialization", message: "a socket cannot travel", path: "$.a[1]", side: "result" });
  const error = failureError(failure({ $case: "fabricError", value }), undefined, context);
  expect(error).toBeInstanceOf(SerializationError);
  expect(error).toMatchObject({ path: "$.a[1]", side: "result", remote: { node: "n1", index: 42 } });
  expect((error as Error).message).toBe("item 42: a socket cannot travel");
});

test("a result above a limit names the limit, what there was, and the item", () => {
  const limit = { limitName: "ITEM_BYTES_MAX", limit: 10, actual: 12 };
  const value = refusal({ code: "limit", message: "ITEM_BYTES_MAX is 10, got 12", ...limit });
  const error = failureError(failure({ $case: "fabricError", value }), undefined, context);
  expect(error).toBeInstanceOf(LimitError);
  expect(error).toMatchObject({ ...limit, message: "item 42: ITEM_BYTES_MAX is 10, got 12", remote: { index: 42 } });
});

test("a limit without a name, as an older worker sends it, still is an error of that code", () => {
  expect(fabricErrorOf(refusal({ code: "limit", message: "too large" }))).toMatchObject({
    code: "limit",
    message: "too large",
  });
});

test("a failure of a kind that this build does not know is an internal error with its words", () => {
  expect(failureError(failure(undefined), undefined, context)).toMatchObject({
    code: "internal",
    message: "RangeError: no 42",
  });
});

test("a code names its class, and an unknown one keeps its name in the words", () => {
  expect(fabricErrorOf(refusal({ code: "pool-init", message: "no worker" }))).toBeInstanceOf(PoolInitError);
  expect(fabricErrorOf(refusal({ code: "from-the-future", message: "words" }))).toMatchObject({
    code: "internal",
    message: "from-the-future: words",
  });
});
