import { type ChildProcess, spawn } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { allGone, bin, eventually, outcome } from "./testing.ts";

const scratch = mkdtempSync(join(tmpdir(), "heddle-bin-test-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
beforeEach(() => {
  rmSync(join(scratch, "project"), { recursive: true, force: true });
});

/** tools/proto-stamp.mjs. */
interface StampModule {
  readonly protoStamp: (root: string) => string;
  readonly STAMP_FILE: string;
}

/** Puts the bin into a package of its own, below `folder`, that needs this Node. */
function install(folder: string, needs: string): string {
  const copy = join(scratch, "project", folder, "bin", "heddle.mjs");
  write(`${folder}/package.json`, JSON.stringify({ type: "module", engines: { node: needs } }));
  mkdirSync(dirname(copy), { recursive: true });
  copyFileSync(bin, copy);
  return copy;
}

function write(path: string, content: string, mode = 0o644): string {
  const whole = join(scratch, "project", path);
  mkdirSync(dirname(whole), { recursive: true });
  writeFileSync(whole, content, { mode });
  return whole;
}

function start(script: string, ...args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [script, ...args], { stdio: ["ignore", "pipe", "pipe"] });
}

describe("the published bin", () => {
  test("says which Node it needs, which it has and where to get one", async () => {
    const ran = await outcome(start(install("node_modules/heddle", ">=99.1"), "status"));
    expect(ran).toEqual({
      code: 1,
      stdout: "",
      stderr:
        `heddle: needs Node >= 99.1; this is Node ${process.versions.node} (${process.execPath}).\n` +
        "Install it (https://nodejs.org), or add it to your project: npm install node@24.\n",
    });
  });

  test("runs the built command in its own process when its Node is new enough", async () => {
    const script = install("node_modules/heddle", ">=24.0");
    const command = "export const main = () => { console.log(process.argv.slice(2).join()); process.exitCode = 3; };";
    write("node_modules/heddle/dist/cli.js", command);
    expect(await outcome(start(script, "get", "nodes"))).toEqual({ code: 3, stdout: "get,nodes\n", stderr: "" });
  });

  test("hands over to a newer Node of the project, with its arguments and exit code", async () => {
    const script = install("node_modules/heddle", ">=99.1");
    write(
      "node_modules/.bin/node",
      '#!/bin/sh\n[ "$1" = -p ] && echo 99.2.0 && exit\nshift; echo "$@"; exit 5\n',
      0o755,
    );
    expect(await outcome(start(script, "up", "--nodes", "2"))).toEqual({
      code: 5,
      stdout: "up --nodes 2\n",
      stderr: "",
    });
  });

  test("does not take a Node that is too old as well", async () => {
    const script = install("node_modules/heddle", ">=99.1");
    write("node_modules/.bin/node", "#!/bin/sh\necho 98.0.0\n", 0o755);
    expect((await outcome(start(script))).stderr).toContain("needs Node >= 99.1");
  });

  test("takes the other Node along when it is killed", async () => {
    const script = install("node_modules/heddle", ">=99.1");
    const pidFile = join(scratch, "project", "pid");
    // A stand-in for the command: it ends when the pipe of HEDDLE_PARENT_FD does.
    write(
      "node_modules/.bin/node",
      `#!/bin/sh\n[ "$1" = -p ] && echo 99.2.0 && exit\necho $$ > ${pidFile}.part; mv ${pidFile}.part ${pidFile}\n` +
        'eval "exec cat <&$HEDDLE_PARENT_FD"\n',
      0o755,
    );
    const wrapper = start(script, "up");
    const pid = await eventually("the other Node runs", 10_000, () => {
      try {
        return Number(readFileSync(pidFile, "utf8"));
      } catch {
        return undefined;
      }
    });
    wrapper.kill("SIGKILL");
    await allGone([pid], 5_000);
  });

  test("in a checkout without generated code, says what to run", async () => {
    const script = install("libs/sdk", ">=24.0");
    write("apps/cli/src/main.ts", "");
    const { code, stderr } = await outcome(start(script));
    expect(code).toBe(1);
    expect(stderr).toBe("heddle: the code of the protocol has not been generated yet: run `npm run gen` first\n");
  });

  test("in a checkout whose generated code is of other .proto files, or does not say of which, says what to run", async () => {
    const script = install("libs/sdk", ">=24.0");
    const stale =
      "heddle: the code of the protocol was generated from other .proto files than are here: run `npm run gen` first\n";
    write("apps/cli/src/main.ts", 'console.log("runs");');
    const tools = join(scratch, "project", "tools");
    const stampFile = fileURLToPath(new URL("../../../tools/proto-stamp.mjs", import.meta.url));
    mkdirSync(tools);
    copyFileSync(stampFile, join(tools, "proto-stamp.mjs"));
    write("tools/gen-proto.mjs", "");
    write("proto/heddle/v1/a.proto", "message A {}");
    write("libs/wire/src/gen/a.ts", "");
    const none = await outcome(start(script));
    const { protoStamp, STAMP_FILE }: StampModule = await import(stampFile);
    write(`libs/wire/src/gen/${STAMP_FILE}`, `${protoStamp(join(scratch, "project"))}\n`);
    const fresh = await outcome(start(script));
    write("proto/heddle/v1/b.proto", "message B {}");
    const changed = await outcome(start(script));
    expect([none, fresh, changed]).toEqual([
      { code: 1, stdout: "", stderr: stale },
      { code: 0, stdout: "runs\n", stderr: "" },
      { code: 1, stdout: "", stderr: stale },
    ]);
  });

  test("is written so that an old Node can read it", () => {
    const code = readFileSync(bin, "utf8").replaceAll(/^\s*\/\/.*$|\/\*\*.*?\*\//gm, "");
    expect(code).not.toMatch(/\?\?|\?\.|^import |^\s*#\w|\|\|=|&&=|\bstatic\b/m);
    expect(code).not.toMatch(/^(await|const \w+ = await)/m);
  });
});
