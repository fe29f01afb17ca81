import { describe, expect, test } from "vitest";
import { workerCommand, workerEnvironment } from "./launch.ts";

const options = { execPath: "/bin/node", execArgv: [], hasPdeathsig: false };

describe("a worker is started", () => {
  test("from source with the workspace's sources, from a build without", () => {
    expect(workerCommand({ ...options, workerEntry: new URL("file:///a%20b/worker.ts") }).args).toEqual([
      "--conditions=@heddle/source",
      "--enable-source-maps",
      "/a b/worker.ts",
    ]);
    expect(workerCommand({ ...options, workerEntry: new URL("file:///a/worker.js") })).toEqual({
      command: "/bin/node",
      args: ["--enable-source-maps", "/a/worker.js"],
    });
  });

  test("with a heap limit and options of Node where they are given", () => {
    const workerEntry = new URL("file:///w.js");
    const { args } = workerCommand({ ...options, workerEntry, maxOldSpaceMb: 512, execArgv: ["--expose-gc"] });
    expect(args).toEqual(["--enable-source-maps", "--max-old-space-size=512", "--expose-gc", "/w.js"]);
  });

  test("to die with its agent, where that can be had", () => {
    const { command, args } = workerCommand({ ...options, workerEntry: new URL("file:///w.js"), hasPdeathsig: true });
    expect([command, ...args.slice(0, 4)]).toEqual(["setpriv", "--pdeathsig", "KILL", "--", "/bin/node"]);
  });
});

describe("a worker's environment", () => {
  test("is the agent's, without anything of Heddle's or of Node's plumbing, and with its cookie", () => {
    const base = {
      PATH: "/bin",
      HOME: "/home/u",
      HEDDLE_TOKEN: "secret",
      HEDDLE_ADDRESS: "there:1",
      HEDDLE_WORKER_COOKIE: "outer.1",
      NODE_CHANNEL_FD: "3",
      NODE_UNIQUE_ID: "1",
      NODE_ENV: "test",
    };
    expect(workerEnvironment(base, {}, "c.1")).toEqual({
      PATH: "/bin",
      HOME: "/home/u",
      NODE_ENV: "test",
      HEDDLE_WORKER_COOKIE: "c.1",
    });
  });

  test("takes what is set on top and leaves out what is unset", () => {
    expect(workerEnvironment({ A: "1", B: "2" }, { B: undefined, C: "3", HEDDLE_KEY: "x" }, "c.1")).toEqual({
      A: "1",
      C: "3",
      HEDDLE_WORKER_COOKIE: "c.1",
    });
  });

  test("has no inspector: its port is taken by the agent's own", () => {
    const { NODE_OPTIONS } = workerEnvironment(
      { NODE_OPTIONS: "--inspect-brk=9229 --no-warnings --inspect" },
      {},
      "c.1",
    );
    expect(NODE_OPTIONS).toBe("--no-warnings");
  });
});
