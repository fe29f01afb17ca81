import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { Program } from "../../harness/program.ts";

const scratch = mkdtempSync(join(tmpdir(), "kept-store-test-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const jobs = join(scratch, "data", "jobs");

/** A coordinator on the one directory. */
function coordinator(name: string): Program {
  const file = join(scratch, name);
  const flags = ["--listen", "127.0.0.1:0", "--address-file", file, "--data-dir", join(scratch, "data")];
  return new Program(["coordinator", ...flags], { env: { XDG_RUNTIME_DIR: scratch } });
}

test("a coordinator does not start where another lives, takes over from one that was killed, and does not trust a store that is damaged", async () => {
  {
    await using first = coordinator("first.json");
    const { pid } = await first.address(join(scratch, "first.json"));
    await using second = coordinator("second.json");
    expect(await second.code()).toBe(1);
    expect(second.said).toContain(
      `process ${pid} owns the job store in ${jobs}: stop it first, or use another directory`,
    );
    expect(first.isOver).toBe(false);
    process.kill(pid, "SIGKILL");
    await first.code();
  }
  {
    await using third = coordinator("third.json");
    const { pid } = await third.address(join(scratch, "third.json"));
    process.kill(pid, "SIGTERM");
    expect(await third.code()).toBe(0);
  }
  const path = join(jobs, "job-store.db");
  const database = readFileSync(path);
  writeFileSync(path, database.fill(0xff, 0, 100)); // what a database begins with
  await using fourth = coordinator("fourth.json");
  expect(await fourth.code()).toBe(1);
  expect(fourth.said).toContain(`the job store in ${jobs}: file is not a database`);
}, 120_000);
