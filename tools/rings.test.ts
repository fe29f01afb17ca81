import { cpSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { breachesIn, type Rule } from "./rings.ts";

const repository = join(import.meta.dirname, "..");
let planted: string;

/** The workspace's own package.json files and no source: a breach in it is one that a test planted. */
beforeEach(() => {
  planted = mkdtempSync(join(tmpdir(), "heddle-rings-"));
  const { workspaces } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8")) as { workspaces: string[] };
  const manifests = workspaces.flatMap((pattern) => globSync(`${pattern}/package.json`, { cwd: repository }));
  for (const file of ["package.json", ...manifests]) cpSync(join(repository, file), join(planted, file));
});

afterEach(() => rmSync(planted, { recursive: true, force: true }));

function plant(path: string, text: string): void {
  mkdirSync(dirname(join(planted, path)), { recursive: true });
  writeFileSync(join(planted, path), text);
}

function declare(folder: string, name: string): void {
  const file = join(planted, folder, "package.json");
  const json = JSON.parse(readFileSync(file, "utf8")) as { dependencies?: Record<string, string> };
  writeFileSync(file, JSON.stringify({ ...json, dependencies: { ...json.dependencies, [name]: "1.0.0" } }));
}

const forbidden: readonly (readonly [folder: string, source: string, rule: Rule])[] = [
  ["libs/kernel", 'import { equal } from "@heddle/values";', "workspace-edge"],
  ["libs/kernel", 'import { parse } from "acorn";', "npm"],
  ["libs/kernel", 'import { hash } from "node:crypto";', "node"],
  ["libs/kernel", 'import { hash } from "crypto";', "node"],
  ["libs/values", 'import type { Rpc } from "@heddle/port-rpc";', "workspace-edge"],
  ["libs/values", 'import { BinaryWriter } from "@bufbuild/protobuf/wire";', "npm"],
  ["libs/core/scheduler", 'export { Pool } from "@heddle/core-pool";', "workspace-edge"],
  ["libs/core/scheduler", 'import type { Rpc } from "@heddle/port-rpc";', "workspace-edge"],
  ["libs/core/pool", 'type Task = import("@heddle/wire").Task;', "workspace-edge"],
  ["libs/core/pool", 'export * from "node:fs";', "node"],
  ["libs/core/pool", 'import "commander";', "npm"],
  ["libs/ports/rpc", 'import type { Blobs } from "@heddle/port-blobs";', "workspace-edge"],
  ["libs/ports/blobs", 'const fs = await import("node:fs");', "node"],
  ["libs/wire", 'import { Pool } from "@heddle/client";', "workspace-edge"],
  ["libs/wire", 'import { loadSync } from "@grpc/proto-loader";', "npm"],
  ["libs/client", 'import { GrpcRpc } from "@heddle/adapter-grpc";', "workspace-edge"],
  ["libs/client", 'import { createServer } from "node:net";', "node"],
  ["libs/shells/coordinator", 'import { Server } from "@grpc/grpc-js";', "npm"],
  ["libs/shells/agent", 'import { fork } from "node:child_process";', "node"],
  ["libs/shells/agent", 'import { Coordinator } from "@heddle/shell-coordinator";', "workspace-edge"],
  ["libs/shells/worker", "await import(path);", "dynamic"],
  ["libs/shells/worker", 'require("node:fs");', "node"],
  ["libs/adapters/processes", 'import { build } from "esbuild";', "npm"],
  ["libs/adapters/ship", 'import { credentials } from "@grpc/grpc-js";', "npm"],
  ["libs/adapters/system", 'import { Coordinator } from "@heddle/shell-coordinator";', "workspace-edge"],
  ["libs/sdk", 'import { world } from "@heddle/sim";', "workspace-edge"],
  ["libs/sdk", 'import { main } from "@heddle/app-agent";', "workspace-edge"],
  ["libs/sim", 'import { connect } from "heddle";', "workspace-edge"],
  ["libs/sim", "export const seed = Math.random();", "hidden-input"],
  ["libs/core/pool", 'export const id = crypto["randomUUID"]();', "hidden-input"],
  ["libs/client", "export const signal = AbortSignal.timeout(1);", "hidden-input"],
  ["apps/agent", 'import { Pool } from "@heddle/client";', "workspace-edge"],
  ["apps/agent", 'import { Command } from "commander";', "npm"],
  ["libs/values", 'import { assert } from "../../kernel/src/assert.ts";', "escape"],
];

describe("a forbidden import is found", () => {
  test.each(forbidden)("%s: %s", (folder, source, rule) => {
    plant(`${folder}/src/planted.ts`, `// line one\n${source}\n`);
    expect(breachesIn(planted).map(({ rule, at }) => ({ rule, at }))).toEqual([
      { rule, at: `${folder}/src/planted.ts:2` },
    ]);
  });

  test("in a test too, where it crosses rings", () => {
    plant("libs/kernel/src/heap.test.ts", 'import { equal } from "@heddle/values";\n');
    expect(breachesIn(planted).map(({ rule }) => rule)).toEqual(["workspace-edge"]);
  });

  test("when its package.json does not declare what the ring allows", () => {
    const file = join(planted, "libs/values/package.json");
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, "utf8")), dependencies: {} }));
    plant("libs/values/src/planted.ts", 'import { assert } from "@heddle/kernel";\n');
    expect(breachesIn(planted).map(({ rule }) => rule)).toEqual(["undeclared"]);
  });

  test("when only package.json says it", () => {
    declare("libs/core/pool", "@heddle/core-scheduler");
    declare("libs/kernel", "esbuild");
    expect(breachesIn(planted).map(({ rule, at }) => ({ rule, at }))).toEqual([
      { rule: "npm", at: "libs/kernel/package.json" },
      { rule: "workspace-edge", at: "libs/core/pool/package.json" },
    ]);
  });

  test("when a package has no ring to judge it by", () => {
    plant("libs/core/looms/package.json", JSON.stringify({ name: "@heddle/core-objects" }));
    expect(breachesIn(planted).map(({ rule, at }) => ({ rule, at }))).toEqual([
      { rule: "no-ring", at: "libs/core/looms/package.json" },
    ]);
  });
});

test("what the rings allow is no breach", () => {
  plant("libs/values/src/a.ts", 'import { assert } from "@heddle/kernel";\nexport * from "./b/c.ts";\n');
  plant("libs/values/src/b/c.ts", 'import type { A } from "../a.ts";\nexport const size = Math.max(1, 2);\n');
  plant("libs/values/src/a.test.ts", 'import { test } from "vitest";\nimport { readFileSync } from "node:fs";\n');
  plant("libs/ports/rpc/src/contract.ts", 'import { test } from "vitest";\n');
  plant("libs/wire/src/a.ts", 'import { BinaryWriter } from "@bufbuild/protobuf/wire";\n');
  plant("libs/adapters/grpc/src/a.ts", 'import * as grpc from "@grpc/grpc-js";\nexport const t = Math.random();\n');
  plant("apps/agent/src/a.ts", 'import { connect } from "heddle";\nimport { fork } from "node:child_process";\n');
  plant("tests/a.ts", 'import { rpcContract } from "@heddle/port-rpc/contract";\n');
  expect(breachesIn(planted)).toEqual([]);
});

test("this repository keeps to the rings", () => {
  expect(breachesIn(repository)).toEqual([]);
});
