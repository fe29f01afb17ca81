import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, onTestFinished, test } from "vitest";
import { heddle, linesOf, startHeddle } from "./testing.ts";

const scratch = mkdtempSync(join(tmpdir(), "heddle-run-test-"));
const command = fileURLToPath(new URL("./main.ts", import.meta.url));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe("heddle run", () => {
  const script = join(scratch, "script.ts");
  writeFileSync(
    script,
    `const [code = "0"]: string[] = process.argv.slice(2);
     console.log(JSON.stringify([process.env.HEDDLE_ADDRESS, process.argv.slice(2)]));
     if (code === "wait") setInterval(() => undefined, 1e6);
     process.exitCode = Number(code) || 0;`,
  );

  test("gives a script its arguments, the address and its exit code back", async () => {
    const ran = await heddle(["run", "--address", "127.0.0.1:1", script, "7", "--address", "x"]);
    expect(ran).toEqual({ code: 7, stdout: '["127.0.0.1:1",["7","--address","x"]]\n', stderr: "" });
    expect((await heddle(["--address", "a:1", "run", script])).stdout).toBe('["a:1",[]]\n');
    expect((await heddle(["run", script], { HEDDLE_ADDRESS: "b:2" })).stdout).toBe('["b:2",[]]\n');
    expect((await heddle(["run", script])).stdout).toBe("[null,[]]\n");
  });

  test("passes signals on", async () => {
    const child: ChildProcess = startHeddle(["run", script, "wait"]);
    onTestFinished(() => void child.kill("SIGTERM"));
    await linesOf(child.stdout).next();
    child.kill("SIGTERM");
    expect(await once(child, "exit")).toEqual([null, "SIGTERM"]);
  });

  test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
    "passes %s on to a script that it runs beside itself",
    async (signal) => {
      // as the bin starts it where its own Node is too old
      const child = spawn(process.execPath, ["--conditions=@heddle/source", command, "run", script, "wait"], {
        env: { ...process.env, HEDDLE_PARENT_FD: "3" },
        stdio: ["ignore", "pipe", "pipe", "pipe"],
      });
      await linesOf(child.stdout).next();
      child.kill(signal);
      expect(await once(child, "exit")).toEqual([128 + constants.signals[signal], null]);
    },
  );

  test("says where a script lives that cannot find the package, and of no other", async () => {
    const advice =
      'will not find the package "heddle": a script lives inside the checkout, or in a project that has the package installed';
    const outside = join(scratch, "outside.ts");
    writeFileSync(outside, 'import {\n  range,\n} from "heddle";\nconsole.log(range(1));');
    const { code, stderr } = await heddle(["run", outside]);
    expect(code).toBe(1);
    expect(stderr.split("\n")[0]).toBe(`heddle: ${JSON.stringify(outside)} ${advice}`);
    expect(stderr).toContain("ERR_MODULE_NOT_FOUND");
    const modules = join(scratch, "installed", "node_modules");
    mkdirSync(join(modules, "heddle"), { recursive: true });
    writeFileSync(
      join(modules, "heddle", "package.json"),
      '{ "name": "heddle", "type": "module", "exports": "./index.js" }',
    );
    writeFileSync(join(modules, "heddle", "index.js"), "export const range = (n) => n;");
    const inside = join(scratch, "installed", "script.ts");
    writeFileSync(inside, readFileSync(outside));
    expect(await heddle(["run", inside])).toEqual({ code: 0, stdout: "1\n", stderr: "" });
    const typed = join(scratch, "typed.ts");
    writeFileSync(typed, 'import type { Pool } from "heddle";\nconsole.log("no Pool" satisfies string as string);');
    expect(await heddle(["run", typed])).toMatchObject({ code: 0, stderr: "" });
  });
});

test("heddle run --help says that a script without an address has a fabric of its own", async () => {
  const { code, stdout } = await heddle(["run", "--help"]);
  expect(code).toBe(0);
  expect(stdout.replaceAll(/\s+/g, " ")).toContain("HEDDLE_ADDRESS, else none: the script has a fabric of its own)");
  expect(stdout).not.toContain("7433");
});
