import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { Program } from "../../harness/program.ts";
import { eventually } from "../../harness/waiting.ts";

const scratch = mkdtempSync(join(tmpdir(), "data-directories-test-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const servers = [
  ["coordinator", ["--listen", "127.0.0.1:0"], "serves at"],
  ["manager", ["--listen", "127.0.0.1:0"], "serves at"],
  ["agent", ["--coordinator", "127.0.0.1:1"], "coordinator not reached yet"],
] as const;

const modeOf = (path: string): number => statSync(path).mode & 0o777;

test.each(servers)("the directory that a %s makes for its data is its user's alone", async (party, flags, words) => {
  const directory = join(scratch, party, "deep");
  await using program = new Program([party, ...flags, "--data-dir", directory], { env: { XDG_RUNTIME_DIR: scratch } });
  await eventually(words, () => program.said.includes(words) || undefined);
  expect(modeOf(directory)).toBe(0o700);
});

test.each(servers)("a directory that was there before a %s stays as open as it was", async (party, flags, words) => {
  const directory = join(scratch, `${party}-of-somebody`);
  mkdirSync(directory);
  chmodSync(directory, 0o755);
  await using program = new Program([party, ...flags, "--data-dir", directory], { env: { XDG_RUNTIME_DIR: scratch } });
  await eventually(words, () => program.said.includes(words) || undefined);
  expect(modeOf(directory)).toBe(0o755);
});

test("a manager whose address is taken makes nothing, and says so in plain words", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const address = `127.0.0.1:${(taken.address() as AddressInfo).port}`;
  const directory = join(scratch, "manager-elsewhere");
  await using program = new Program(["manager", "--listen", address, "--data-dir", directory]);
  expect(await program.code()).toBe(1);
  taken.close();
  const advice = "choose another --listen, 127.0.0.1:0 picks a free port";
  expect(program.said).toBe(`manager: cannot listen at ${address}: another program listens there already: ${advice}\n`);
  expect(existsSync(directory)).toBe(false);
});

test.each(["coordinator", "manager"])("a %s that may not listen where it is told makes nothing", async (party) => {
  const directory = join(scratch, `${party}-refused`);
  await using program = new Program([party, "--listen", "0.0.0.0:0", "--data-dir", directory]);
  expect(await program.code()).toBe(2);
  expect(program.said).toContain("refusing to listen at 0.0.0.0:0 without TLS");
  expect(existsSync(directory)).toBe(false);
});
