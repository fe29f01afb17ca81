import { connect, Pool, StateError } from "heddle";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import * as outside from "./index.ts";
import * as inside from "./inside.ts";
import { closesOne, ignoresEnvironment, looksAtItself, looksForCredentials, reusesPool } from "./testing.ts";

test("inside a worker there are the names of outside, with the same types", () => {
  expect(Object.keys(inside).sort()).toEqual(Object.keys(outside).sort());
  const typed: typeof outside = inside; // code is written against the types of outside
  expect(typed).toBe(inside);
});

test("outside of a worker the inside's pool says that it has no fabric", () => {
  expect(() => new inside.Pool()).toThrow(StateError);
});

describe("in a task", () => {
  test("fabrics and pools share the worker's session, and each ends its own work alone", async () => {
    await using pool = new Pool({ processes: 1 });
    expect(await pool.apply(closesOne)).toEqual(["late", 2, true, "ClosedError"]);
  });

  test("HEDDLE_ADDRESS means nothing, and an address that is given is dialled", async () => {
    await using pool = new Pool({ processes: 1 });
    expect(await pool.apply(ignoresEnvironment)).toEqual([1, 2, true]);
  });

  test("nothing of its agent's credentials is there, and its own fabric takes none", async () => {
    for (const name of ["TOKEN", "TLS_DIR", "CA_FILE", "CERT_FILE", "KEY_FILE", "ADDRESS"])
      vi.stubEnv(`HEDDLE_${name}`, "");
    await using fabric = await connect(); // the embedded one, whose agent is this process
    for (const name of ["TOKEN", "TLS_DIR", "CA_FILE", "CERT_FILE", "KEY_FILE"]) vi.stubEnv(`HEDDLE_${name}`, "mine");
    onTestFinished(() => void vi.unstubAllEnvs());
    await using pool = fabric.pool({ processes: 1 });
    expect(await pool.apply(looksForCredentials)).toEqual([["HEDDLE_WORKER_COOKIE"], "InvalidArgumentError", 3]);
  });

  test("task() tells of its item to the end of it, and what it gave stays as it was", async () => {
    await using pool = new Pool({ processes: 1 });
    expect(await pool.map(looksAtItself, ["a", "b"], { chunkSize: 2 })).toEqual([
      [0, 0, 1, true, false],
      [1, 1, 1, true, false],
    ]);
  });

  test("a pool of a module lives on for the next task of its worker", async () => {
    await using pool = new Pool({ processes: 1 });
    expect(await pool.map(reusesPool, [1, 2, 3], { chunkSize: 1 })).toEqual([
      [2, 1],
      [4, 2],
      [6, 3],
    ]);
  });
});
