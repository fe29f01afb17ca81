import { InvalidArgumentError } from "@heddle/kernel";
import { describe, expect, test } from "vitest";
import { type AgentConfig, addressesOf, lifetimeOf, settings } from "./config.ts";

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

describe("the lifetime of an agent", () => {
  const nowMs = Date.parse("2026-11-26T12:00:00Z");
  const both = { lifetime: undefined, endsAt: undefined };

  test("is as long as it was told, or until it was told", () => {
    expect(lifetimeOf({ ...both, lifetime: settings.lifetime.parse(["1h30m"]) }, nowMs, {})).toBe(5_400_000);
    for (const end of ["2026-11-26T12:01:00Z", "2026-11-26T13:01:00+01:00", String(nowMs / 1_000 + 60)])
      expect(lifetimeOf({ ...both, endsAt: settings.endsAt.parse([end]) }, nowMs, {})).toBe(60_000);
    for (const bad of ["soon", "12:00", "2026-13-01T00:00:00Z"])
      expect(() => settings.endsAt.parse([bad])).toThrow(InvalidArgumentError);
    expect(() => settings.lifetime.parse(["0"])).toThrow(InvalidArgumentError);
  });

  test("is else what its Slurm job has left, else unknown", () => {
    const environment = { SLURM_JOB_END_TIME: String(nowMs / 1_000 + 90) };
    expect(lifetimeOf(both, nowMs, environment)).toBe(90_000);
    expect(lifetimeOf({ ...both, lifetime: 5_000 }, nowMs, environment)).toBe(5_000);
    expect(lifetimeOf(both, nowMs, {})).toBeUndefined();
    expect(lifetimeOf(both, nowMs, { SLURM_JOB_END_TIME: "Unknown" })).toBeUndefined();
  });

  test("that is said twice, or is over, is refused", () => {
    expect(() => lifetimeOf({ lifetime: 1, endsAt: nowMs + 1 }, nowMs, {})).toThrow("give one of them");
    expect(() => lifetimeOf({ ...both, endsAt: nowMs }, nowMs, {})).toThrow("--ends-at has passed");
  });
});

describe("the coordinators of an agent", () => {
  const config = (coordinator: readonly string[]): AgentConfig => ({
    coordinator,
    name: undefined,
    processes: undefined,
    label: {},
    resource: {},
    dataDir: undefined,
    lifetime: undefined,
    endsAt: undefined,
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
