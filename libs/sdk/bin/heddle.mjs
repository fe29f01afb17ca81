#!/usr/bin/env node
// biome-ignore-all lint/style/noRestrictedGlobals: a composition root
// biome-ignore-all lint/complexity/useOptionalChain: old Nodes must be able to read this file
// Written in the syntax of ES2019 and import(): an old Node must read it far enough to say what is wrong, or to start a newer one.

/** `heddle`, as npm installs it: finds a Node that is new enough and the command for it, built or as source. */
async function main() {
  const { existsSync, readFileSync } = await import("node:fs");
  const { fileURLToPath } = await import("node:url");
  const at = (path) => fileURLToPath(new URL(path, import.meta.url));
  const wanted = JSON.parse(readFileSync(at("../package.json"), "utf8")).engines.node.replace(/[^0-9.]/g, "");
  const source = at("../../../apps/cli/src/main.ts");
  // a project that has this package installed may have such a file as well
  const isCheckout = existsSync(source) && !/[\\/]node_modules[\\/]/.test(at("."));
  if (isCheckout && !existsSync(at("../../wire/src/gen"))) {
    throw new Error("the code of the protocol has not been generated yet: run `npm run gen` first");
  }
  if (isCheckout && !(await isUpToDate(at))) {
    throw new Error(
      "the code of the protocol was generated from other .proto files than are here: run `npm run gen` first",
    );
  }
  const argv = isCheckout ? ["--conditions=@heddle/source", source] : [];
  if (isNewEnough(process.versions.node, wanted)) {
    if (!isCheckout) return (await import("../dist/cli.js")).main();
    if (process.execve)
      process.execve(process.execPath, [process.execPath, ...argv, ...process.argv.slice(2)], process.env);
    return runWith(process.execPath, [...argv, ...process.argv.slice(2)]);
  }
  const newer = await nodeNear(at("."), wanted);
  if (newer === undefined) throw new Error(tooOld(wanted, isCheckout));
  return runWith(newer, [...(isCheckout ? argv : [at("./heddle.mjs")]), ...process.argv.slice(2)]);
}

/** Whether what is generated in this checkout is of its .proto files: after another was checked out it may not be. */
async function isUpToDate(at) {
  const { readFileSync } = await import("node:fs");
  const { protoStamp, STAMP_FILE } = await import("../../../tools/proto-stamp.mjs");
  try {
    return readFileSync(at(`../../wire/src/gen/${STAMP_FILE}`), "utf8").trim() === protoStamp(at("../../.."));
  } catch (error) {
    if (error.code === "ENOENT") return false; // it is older than the stamp
    throw error;
  }
}

function isNewEnough(version, wanted) {
  const have = version.split(".").map(Number);
  const need = wanted.split(".").map(Number);
  for (let part = 0; part < need.length; part++) {
    if (have[part] !== need[part]) return have[part] > need[part];
  }
  return true;
}

/** A Node installed as a package: node_modules/.bin/node here or above, if it is new enough. */
async function nodeNear(folder, wanted) {
  const { execFileSync } = await import("node:child_process");
  const { dirname, join } = await import("node:path");
  for (let at = folder; ; at = dirname(at)) {
    try {
      const path = join(at, "node_modules", ".bin", "node");
      const version = execFileSync(path, ["-p", "process.versions.node"], { encoding: "utf8" }).trim();
      if (isNewEnough(version, wanted)) return path;
    } catch {
      // there is none, or it does not run here
    }
    if (dirname(at) === at) return undefined;
  }
}

/** Ends as the other Node ends. It holds a pipe to this process, and so ends when this one is killed. */
async function runWith(node, argv) {
  const { spawn } = await import("node:child_process");
  const { constants } = await import("node:os");
  const env = Object.assign({}, process.env, { HEDDLE_PARENT_FD: "3" });
  const child = spawn(node, argv, { stdio: ["inherit", "inherit", "inherit", "pipe"], env });
  process.on("SIGINT", () => child.kill("SIGINT")); // twice with a terminal's own, which counts as one
  for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("error", fail);
  child.on("exit", (code, signal) => process.exit(signal === null ? code : 128 + constants.signals[signal]));
}

function tooOld(wanted, isCheckout) {
  const advice = isCheckout
    ? "Run `npm ci` in the repository: it brings one along, and `npx heddle` then finds it."
    : "Install it (https://nodejs.org), or add it to your project: npm install node@24.";
  const have = `this is Node ${process.versions.node} (${process.execPath})`;
  return `needs Node >= ${wanted}; ${have}.
${advice}`;
}

function fail(error) {
  console.error(`heddle: ${error.message}`);
  process.exit(1);
}

main().catch(fail);
