import { expect, test } from "vitest";
import { connect } from "./connect.ts";
import { Pool } from "./pool.ts";

test.each([
  [4, "options of a pool must be an object, as { processes: 4 }, got a number"],
  [null, "options of a pool must be an object, as { processes: ... }, got null"],
  [{ proceses: 4 }, "a pool has no option proceses: did you mean processes?"],
  [{ adress: "x" }, "a pool has no option adress: did you mean address?"],
  [{ address: 5 }, "address must be a string, got a number"],
  [{ fabric: "127.0.0.1:7000" }, "fabric must be what connect() resolved to, got a string"],
  [{ processes: "4" }, "processes must be a number, got a string"],
])("new Pool(%j) is refused in words", (options, message) => {
  expect(() => new Pool(options as never)).toThrow(new TypeError(message));
});

test("connect refuses what is no address and no option", async () => {
  await expect(connect({ timeoutMs: 5 } as never)).rejects.toThrow("address must be a string, got an object");
  await expect(connect("x", { timeout: 5 } as never)).rejects.toThrow("did you mean timeoutMs?");
  await expect(connect("x", { timeoutMs: "5" } as never)).rejects.toThrow("timeoutMs must be a number, got a string");
});
