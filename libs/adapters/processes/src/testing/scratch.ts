import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";

/** A scratch directory for the test file that calls this at its top; processes started from it keep their compiled code there. */
export function scratchDirectory(): string {
  const scratch = mkdtempSync(join(tmpdir(), "heddle-processes-test-"));
  process.env.NODE_COMPILE_CACHE = join(scratch, "compile-cache");
  afterAll(() => rmSync(scratch, { recursive: true, force: true }));
  return scratch;
}
