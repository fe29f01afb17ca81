import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A scratch directory, removed when disposed; processes started by this one from now on keep their compiled code there. */
export function scratchDirectory(): { readonly path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), "heddle-processes-test-"));
  process.env.NODE_COMPILE_CACHE = join(path, "compile-cache");
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}
