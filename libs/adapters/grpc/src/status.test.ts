import { Metadata, status as Status } from "@grpc/grpc-js";
import { type ErrorCode, HeddleError, NotFoundError } from "@heddle/kernel";
import { expect, test } from "vitest";
import { STATUS_TEXT_BYTES } from "./limits.ts";
import { codeOfStatus, errorOfStatus, statusOfCode, statusOfError } from "./status.ts";

test.each(Object.keys(statusOfCode) as ErrorCode[])("the code %s survives the way through a status", (code) => {
  const error = errorOfStatus(statusOfError(new HeddleError(code, "why")), "a call");
  expect([error.code, error.message]).toEqual([code, "why"]);
  expect(statusOfCode[code]).not.toBe(Status.OK);
});

test("an error of a simple class arrives in its class", () => {
  expect(errorOfStatus(statusOfError(new NotFoundError("gone")), "a call")).toBeInstanceOf(NotFoundError);
});

test("a status that names no code is told by gRPC's word and by what was asked", () => {
  const error = errorOfStatus({ code: Status.UNAVAILABLE, details: "No connection established" }, "/a.B/C at x");
  expect(error.code).toBe("unavailable");
  expect(error.message).toBe("/a.B/C at x: No connection established (UNAVAILABLE)");
  const noted = { code: Status.UNAVAILABLE, details: "No connection established. Resolution note: " };
  expect(errorOfStatus(noted, "x").message).toBe("x: No connection established. (UNAVAILABLE)");
});

test("what only a coordinator serves is told to be asked of the wrong server", () => {
  const unserved = { code: Status.UNIMPLEMENTED, details: "The server does not implement the method" };
  const error = errorOfStatus(unserved, "/heddle.v1.Admin/GetStatus at x");
  expect(error.code).toBe("protocol");
  expect(error.message).toMatch(
    /^\/heddle.v1.Admin\/GetStatus at x: the server does not serve Admin: is it a manager\? Give the coord/,
  );
  expect(errorOfStatus(unserved, "/a.B/C at x").message).not.toContain("manager");
});

test("a connection that is short of memory is unavailable, a message that is too large is not", () => {
  const code = Status.RESOURCE_EXHAUSTED;
  const details = "Bandwidth exhausted or memory limit exceeded";
  expect(errorOfStatus({ code, details }, "x").code).toBe("unavailable");
  expect(errorOfStatus({ code, details: "Received message larger than max (9 vs 8)" }, "x").code).toBe("limit");
});

test("a code or status that this build does not know is an internal error, or the status's own", () => {
  const metadata = new Metadata();
  metadata.set("heddle-code", "constructor");
  expect(errorOfStatus({ code: Status.ABORTED, details: "", metadata }, "x").code).toBe("conflict");
  expect(errorOfStatus({ code: 99 as Status, details: "" }, "x").code).toBe("internal");
  expect(Object.keys(codeOfStatus).length).toBe(17);
});

test.each(["ü".repeat(5_000), "x".repeat(100_000), "\ud800 lone", "100% \n sure", "語".repeat(2_000)])(
  "a message of any length and content fits into trailers",
  (message) => {
    const { details } = statusOfError(new HeddleError("internal", message));
    expect(encodeURI(details).length).toBeLessThanOrEqual(STATUS_TEXT_BYTES);
    expect(details.slice(0, 300)).toBe(message.toWellFormed().slice(0, 300));
  },
);
