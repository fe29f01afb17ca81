/**
 * Writes libs/wire/src/gen from proto/: the TypeScript messages, the descriptor set heddle.binpb (with imports), and a stamp that says from what.
 * What it writes is never committed; `npm run gen` makes it, and nx keeps it until a .proto file changes.
 */
import { execFileSync } from "node:child_process";
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { protoStamp, STAMP_FILE } from "./proto-stamp.mjs";

const root = join(import.meta.dirname, "..");
const place = join(root, "libs/wire/src/gen");
/** Whatever runs meanwhile finds the old code until the new one is whole. */
const out = join(root, `libs/wire/src/.gen-${process.pid}`);
const options = {
  outputServices: "generic-definitions",
  // not env=node: it would copy each payload into a Buffer, where a view of the frame does
  esModuleInterop: "true",
  importSuffix: ".ts",
  forceLong: "number",
  oneof: "unions-value",
  useDate: "false",
  enumsAsLiterals: "true",
  removeEnumPrefix: "true",
  unrecognizedEnum: "false",
  useExactTypes: "false",
  outputJsonMethods: "to-only",
};

/** Of what is read below: what changes meanwhile makes the code stale. */
const stamp = protoStamp(root);
const protos = existsSync(join(root, "proto"))
  ? globSync("heddle/**/*.proto", { cwd: join(root, "proto") }).sort()
  : [];
process.once("exit", () => rmSync(out, { recursive: true, force: true })); // what failed leaves nothing
mkdirSync(out, { recursive: true });
if (protos.length === 0) {
  console.log("gen-proto: no .proto file under proto/heddle, nothing to generate");
} else {
  const bin = join(root, "node_modules/.bin");
  execFileSync(
    join(bin, "protoc"),
    [
      `--plugin=protoc-gen-ts_proto=${join(bin, "protoc-gen-ts_proto")}`,
      "--proto_path=proto",
      `--ts_proto_out=${out}`,
      `--ts_proto_opt=${Object.entries(options)
        .map(([name, value]) => `${name}=${value}`)
        .join(",")}`,
      `--descriptor_set_out=${join(out, "heddle.binpb")}`,
      "--include_imports",
      ...protos,
    ],
    { cwd: root, stdio: "inherit" },
  );
  for (const file of globSync("heddle/**/*.ts", { cwd: out })) shareEmptyBytes(join(out, file));
  console.log(`gen-proto: ${protos.length} .proto files`);
}
writeFileSync(join(out, STAMP_FILE), `${stamp}\n`);
rmSync(place, { recursive: true, force: true });
renameSync(out, place);

/** Every message that is decoded begins with its defaults; an empty array made anew for each costs more than the rest of a small message. */
function shareEmptyBytes(path) {
  const source = readFileSync(path, "utf8");
  const shared = source.replace(/^( *return \{.*\b\w+: )new Uint8Array\(0\)/gm, "$1emptyBytes");
  if (shared !== source) writeFileSync(path, `${shared}\nconst emptyBytes = new Uint8Array(0);\n`);
}
