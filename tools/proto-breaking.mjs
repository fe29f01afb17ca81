/** Refuses a change of proto/ that a peer built from the main branch could not read. The main branch is read by git, not by network. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const git = (...args) => spawnSync("git", args, { cwd: root, encoding: "utf8" });
const base = ["main", "origin/main"].find((ref) => git("ls-tree", "--name-only", ref, "proto/heddle/").stdout !== "");

if (base === undefined) {
  console.log("proto-breaking: the main branch has no proto/heddle yet, nothing can break");
} else {
  const scratch = mkdtempSync(join(tmpdir(), "heddle-proto-"));
  try {
    const before = join(scratch, "before.tar");
    execFileSync("git", ["archive", "--format=tar", "-o", before, `${base}:proto`], { cwd: root });
    const buf = join(root, "node_modules/.bin/buf");
    const { status } = spawnSync(buf, ["breaking", "proto", "--against", before], { cwd: root, stdio: "inherit" });
    if (status === 0) console.log(`proto-breaking: compatible with ${base}`);
    process.exitCode = status ?? 1;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
