import { InvalidArgumentError } from "@heddle/kernel";
import { describe, expect, test } from "vitest";
import { type AgentConfig, addressesOf, settings } from "./config.ts";

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
