import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { describe, expect, test } from "vitest";
import { ProcessCluster } from "../harness/process-cluster.ts";
import { processesWith } from "../harness/process-table.ts";
import { eventually } from "../harness/waiting.ts";

const root = join(import.meta.dirname, "../..");

/** Runs an example as the README says, and checks that it leaves no process. */
async function run(
  path: string,
  { args = [], env = {} }: { readonly args?: readonly string[]; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<{ readonly code: number | null; readonly output: string }> {
  const mark = `${process.pid}-${path}`;
  const child = spawn(process.execPath, ["--conditions=@heddle/source", join(root, path), ...args], {
    env: { ...process.env, ...env, FABRIC_TEST_EXAMPLE: mark },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = once(child, "close");
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const [code] = (await ended) as [number | null];
  const left = () => processesWith(`FABRIC_TEST_EXAMPLE=${mark}`);
  await eventually(`nothing is left of ${path}`, () => left().length === 0 || undefined, 5_000);
  return { code, output: output + errors };
}

describe("the examples", () => {
  test("primes counts the primes below a million", async () => {
    const { code, output } = await run("examples/primes/primes.ts");
    expect(output).toMatch(/^78498 primes below a million, found by \d+ workers\n$/);
    expect(code).toBe(0);
  });

  test("the detached job runs once, whichever program asks for its result", { timeout: 120_000 }, async () => {
    await using cluster = await ProcessCluster.start();
    const env = { HEDDLE_ADDRESS: cluster.address };
    const path = "examples/detached/detached.ts";
    expect(await run(path, { args: ["--submit"], env })).toEqual({
      code: 0,
      output: "job walks-1e6 is on the coordinator's disk\n",
    });
    for (let again = 0; again < 2; again++) {
      const { code, output } = await run(path, { env });
      expect(output).toMatch(/^the longest walk below a million takes 524 steps$/m);
      expect(code).toBe(0);
    }
    const [job, ...others] = await (await cluster.fabric()).jobs();
    expect([job, others]).toMatchObject([{ state: "done", itemsDone: 100, detached: true }, []]);
  });

  test.for<readonly [over: string, args: readonly string[], told: string]>([
    ["gRPC", [], "HEDDLE_ADDRESS=127.0.0.1:"],
    ["mutual TLS", ["--tls"], "/client"],
  ])(
    "the demo computes on two agents over %s, checks its results and stops everything",
    { timeout: 180_000 },
    async ([, args, told]) => {
      const { code, output } = await run("examples/demo/demo.ts", { args });
      expect(output).toContain(told);
      for (const words of [
        "two node agents",
        "all equal, in order",
        "the same to the last bit",
        "78,498 primes",
        "100 returns and no ball lost",
        'private: [] {}   shared: ["from the process"] {"answer":42}',
        "9,592 primes, each once",
        "exit code -9 inside the lock",
        "found alice 100, bob 100 and left alice 70, bob 130",
        "LockLostError",
        "stopped",
      ])
        expect(output).toContain(words);
      expect(output.match(/agent pid \d+/g)).toHaveLength(2);
      expect(code).toBe(0);
    },
  );

  test("the README shows what the demo prints, and the two commands", () => {
    const readme = readFileSync(join(root, "README.md"), "utf8");
    for (const words of [
      "npm ci && npm run demo",
      "npm ci && npm test",
      "2. cubes of range(10,000,000)",
      "78,498 primes",
      "9,592 primes, each once",
    ])
      expect(readme).toContain(words);
  });
});
