// Written in the syntax of ES2019: libs/sdk/bin/heddle.mjs loads it in a checkout, with whatever Node there is.
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Where generated code says what it was generated from, below libs/wire/src/gen. */
export const STAMP_FILE = "made-from.sha256";

/** What stands for the .proto files of a checkout, and for what generates code from them. */
export function protoStamp(root) {
  const hash = createHash("sha256").update(readFileSync(join(root, "tools/gen-proto.mjs")));
  const directory = join(root, "proto");
  for (const path of existsSync(directory) ? protosIn(directory, "") : []) {
    hash.update(`\n${path}\n`).update(readFileSync(join(directory, path)));
  }
  return hash.digest("hex");
}

/** Their paths below the directory, in the same order everywhere. */
function protosIn(directory, below) {
  const found = [];
  for (const entry of readdirSync(join(directory, below), { withFileTypes: true })) {
    const path = below === "" ? entry.name : `${below}/${entry.name}`;
    if (entry.isDirectory()) found.push(...protosIn(directory, path));
    else if (entry.name.endsWith(".proto")) found.push(path);
  }
  return found.sort();
}
