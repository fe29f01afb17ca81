import { inspect } from "node:util";
import {
  AuthenticationError,
  InvalidArgumentError,
  LimitError,
  PermissionError,
  ProtocolError,
  UnavailableError,
} from "@heddle/kernel";
import { expect, test } from "vitest";
import { endedError } from "./dial.ts";
import { objectsAdmin } from "./objects-admin.ts";

test.each([new AuthenticationError("who?"), new PermissionError("not you"), new InvalidArgumentError("no such file")])(
  "a coordinator that cannot be talked to because of what its caller can mend is told of by that class: $name",
  (error) => {
    const told = endedError({ reason: "lost", message: error.message, error }, "far:7433");
    expect(told).toBeInstanceOf(error.constructor);
    expect(told.message).toBe(`cannot talk to the coordinator at far:7433: ${error.message}`);
  },
);

test("why a coordinator cannot be talked to is said once, when the error is printed with its causes, too", () => {
  const file = new Error("ENOENT: client/tls.key");
  const refusal = new AuthenticationError("no such file: client/tls.key", { cause: file });
  const told = endedError({ reason: "lost", message: refusal.message, error: refusal }, "far:7433");
  expect(inspect(told).match(/no such file/g)).toHaveLength(1);
  expect(told.cause).toBe(file);
  const bare = endedError({ reason: "lost", message: "who?", error: new AuthenticationError("who?") }, "far:7433");
  expect(inspect(bare)).not.toContain("cause");
  const other = endedError({ reason: "lost", message: "refused", error: refusal }, "far:7433");
  expect(other.cause).toBe(refusal);
});

test.each([new ProtocolError("not a coordinator"), new LimitError("SESSIONS_MAX", 1, 2), undefined])(
  "a coordinator that cannot be talked to for any other reason is unavailable: %s",
  (error) => {
    const end = { reason: "lost", message: "gone", ...(error === undefined ? {} : { error }) } as const;
    expect(endedError(end, "far:7433")).toEqual(
      new UnavailableError("cannot talk to the coordinator at far:7433: gone"),
    );
  },
);

test("whoever may not break locks is told whose certificate it takes; other refusals and errors are as they were", async () => {
  const refusal = new PermissionError("role client may not call BreakLock");
  const asking = (error: Error) => objectsAdmin({ ask: () => Promise.reject(error) });
  const asked = asking(refusal).breakLock("ledger");
  await expect(asked).rejects.toBeInstanceOf(PermissionError);
  await expect(asked).rejects.toThrow(/^role client may not call BreakLock; .*admin's certificate/);
  const gone = new UnavailableError("gone");
  await expect(asking(gone).breakLock("ledger")).rejects.toBe(gone);
  await expect(asking(refusal).locks()).rejects.toBe(refusal);
});
