import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { eventually } from "./waiting.ts";

/** A directory for what a test's processes report, gone with the test. */
export function scratch(): string {
  const directory = mkdtempSync(join(tmpdir(), "process-test-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** What a target has reported, once it has. */
// biome-ignore lint/suspicious/noExplicitAny: whatever it was
export function read(directory: string, name: string): Promise<any> {
  return eventually(`the report ${name}`, () => {
    try {
      return JSON.parse(readFileSync(join(directory, name), "utf8"));
    } catch {
      return undefined; // not there, or not whole
    }
  });
}

/** Whether a process of this id lives. */
export function isThere(pid: number | undefined): boolean {
  try {
    return pid !== undefined && process.kill(pid, 0);
  } catch {
    return false;
  }
}
