import { InvalidArgumentError, NodeName } from "@heddle/kernel";
import { describe, expect, test } from "vitest";
import { type AgentConfig, addressesOf, defaultName, settings } from "./config.ts";

const identity = { host: "Big_Box.example.org", uid: 1_000, dataDir: undefined, rank: undefined };

describe("the name of an agent that nobody named", () => {
  test("is the same at the next start, and legal", () => {
    expect(defaultName(identity)).toBe(defaultName({ ...identity }));
    for (const host of ["Big_Box.example.org", "", "___", "x".repeat(200), "日本"]) {
      const name = defaultName({ ...identity, host });
      expect(NodeName(name)).toBe(name);
    }
    expect(defaultName(identity)).toMatch(/^big-box-[0-9a-f]{6}$/);
  });

  test("differs by machine, user, data directory and rank", () => {
    const names = [
      identity,
      { ...identity, host: "other" },
      { ...identity, uid: 0 },
      { ...identity, dataDir: "/data" },
      { ...identity, rank: "1" },
    ].map(defaultName);
    expect(new Set(names).size).toBe(names.length);
  });
});

test("a name that is given must be legal, for it becomes part of a path", () => {
  expect(settings.name.parse(["n-1"])).toBe("n-1");
  for (const bad of ["bad/name!", "../n", "N", "x".repeat(64)])
    expect(() => settings.name.parse([bad])).toThrow("is not a node name");
});

test("resources are amounts by name", () => {
  expect(settings.resource.parse(["gpu=2", "ram=0.5", "gpu=4"])).toEqual({ gpu: 4, ram: 0.5 });
  for (const bad of ["gpu", "gpu=", "gpu=many", "gpu=-1", "gpu=Infinity"])
    expect(() => settings.resource.parse([bad])).toThrow(InvalidArgumentError);
});

describe("the coordinators of an agent", () => {
  const config = (coordinator: readonly string[]): AgentConfig => ({
    coordinator,
    name: undefined,
    processes: undefined,
    label: {},
    resource: {},
    dataDir: undefined,
    logLevel: "info",
    tlsDir: undefined,
    caFile: undefined,
    certFile: undefined,
    keyFile: undefined,
    addressFile: undefined,
    http: undefined,
    drainMs: 0,
    parentFd: undefined,
  });

  test("are those it was told, else those of clients, else the usual place", () => {
    const environment = { HEDDLE_ADDRESS: "b:1, c:2" };
    expect(addressesOf(config(["a:1"]), environment)).toEqual(["a:1"]);
    expect(addressesOf(config([]), environment)).toEqual(["b:1", "c:2"]);
    expect(addressesOf(config([]), { HEDDLE_ADDRESS: "" })).toEqual(["127.0.0.1:7433"]);
  });
});
