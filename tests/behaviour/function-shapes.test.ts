import { execFile } from "node:child_process";
import { join } from "node:path";
import { isDeepStrictEqual, promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EmbeddedCluster } from "../harness/embedded-cluster.ts";
import { ProcessCluster } from "../harness/process-cluster.ts";
import { functionShapes } from "./shapes/function-shapes.ts";
import { shapeFaults } from "./shapes/run-shapes.ts";

test("there are more than forty function shapes", () => {
  expect(new Set(functionShapes.map(({ name }) => name)).size).toBeGreaterThan(40);
});

/** Runs the shapes in a program of their own: plain Node.js, which only strips the types. */
async function runProgram(...args: readonly string[]): Promise<string> {
  const program = join(import.meta.dirname, "shapes/main.ts");
  const { NODE_OPTIONS: _options, HEDDLE_ADDRESS: _address, ...env } = process.env;
  const options = ["--conditions=@heddle/source", program, ...args];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, options, { env });
  return stdout + stderr;
}

describe("every function shape gives the same results", () => {
  test("on an embedded fabric, from within vitest", async () => {
    await using cluster = new EmbeddedCluster();
    expect(await shapeFaults(await cluster.fabric(), isDeepStrictEqual)).toEqual([]);
  });

  test("on an embedded fabric, from a program that Node.js runs", async () => {
    expect(await runProgram()).toBe("all shapes were tried\n");
  });

  describe("on two agents over gRPC,", () => {
    let cluster: ProcessCluster;
    beforeAll(async () => {
      cluster = await ProcessCluster.start();
    });
    afterAll(() => cluster[Symbol.asyncDispose]());

    test("from within vitest", async () => {
      expect(await shapeFaults(await cluster.fabric(), isDeepStrictEqual)).toEqual([]);
    });

    test("from a program that Node.js runs", async () => {
      expect(await runProgram(cluster.address)).toBe("all shapes were tried\n");
    });
  });
});
