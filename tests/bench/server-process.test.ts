import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { processTable } from "../harness/process-table.ts";
import { programInPath, startServer, versionOf } from "./server-process.ts";

/** A server that runs this program of Node's with its directory as argument. */
const server = (text: string) => ({
  program: process.execPath,
  args: (directory: string) => ["-e", text, directory],
  served: (line: string) => /^serving (\d+)$/.exec(line)?.[1],
});
const stays = "setInterval(() => undefined, 1_000);";

test("a server has started when it says so, on either of its outputs, and ends with its directory", async () => {
  for (const output of ["log", "error"]) {
    const running = await startServer(
      server(`console.log("starting"); console.${output}("serving " + process.pid); ${stays}`),
    );
    const pid = Number(running.facts);
    const isRunning = (): boolean => processTable().some((entry) => entry.pid === pid && entry.state !== "Z");
    expect(isRunning()).toBe(true);
    expect(existsSync(running.directory)).toBe(true);
    await running[Symbol.asyncDispose]();
    expect(isRunning()).toBe(false);
    expect(existsSync(running.directory)).toBe(false);
  }
});

test("a server that ends instead is an error with its last words", async () => {
  await expect(startServer(server('console.error("no disk"); process.exitCode = 3;'))).rejects.toThrow(
    /ended \(3\) .*no disk/,
  );
});

test("a program that is not there is no server, and is not in PATH", async () => {
  const program = "heddle-no-such-program";
  await expect(startServer({ program, args: () => [], served: () => undefined })).rejects.toThrow("ENOENT");
  expect(programInPath(program)).toBeUndefined();
});

test("a program in PATH is known by its name and version", () => {
  expect(programInPath("sh")).toMatch(/\/sh$/);
  expect(versionOf(process.execPath)).toBe(`${process.execPath} ${process.versions.node}`);
});
