import { closeSync, fdatasyncSync, fstatSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Contender } from "../contender.ts";

/** What a small record takes. */
const RECORD = Buffer.alloc(100, "x");

/** A file and nobody who serves: what durable means on this disk, at the least. */
export async function openDisk(): Promise<Contender> {
  const directory = mkdtempSync(join(tmpdir(), "heddle-bench-disk-"));
  const file = openSync(join(directory, "log"), "a");
  return {
    operations: {
      syncs: {
        how: `fs.writeSync(file, ${RECORD.length} bytes), fs.fdatasyncSync(file)`,
        prepare: () => ftruncateSync(file),
        run: () => {
          writeSync(file, RECORD);
          fdatasyncSync(file);
        },
        outcome: () => fstatSync(file).size / RECORD.length,
      },
    },
    [Symbol.asyncDispose]: async () => {
      closeSync(file);
      rmSync(directory, { recursive: true });
    },
  };
}
