import { resolve } from "node:path";
import { NodeName } from "@heddle/kernel";
import { expect, test } from "vitest";
import { nodeNameOf, ownNodeName } from "./node-name.ts";

const identity = { host: "Big_Box.example.org", uid: 1_000, dataDir: undefined, rank: undefined };

test("the name of an agent that nobody named is the same at the next start, and legal", () => {
  expect(nodeNameOf(identity)).toBe(nodeNameOf({ ...identity }));
  for (const host of ["Big_Box.example.org", "", "___", "x".repeat(200), "日本"]) {
    const name = nodeNameOf({ ...identity, host });
    expect(NodeName(name)).toBe(name);
  }
  expect(nodeNameOf(identity)).toMatch(/^big-box-[0-9a-f]{6}$/);
});

test("it differs by machine, user, data directory and rank", () => {
  const names = [
    identity,
    { ...identity, host: "other" },
    { ...identity, uid: 0 },
    { ...identity, dataDir: "/data" },
    { ...identity, rank: "1" },
  ].map(nodeNameOf);
  expect(new Set(names).size).toBe(names.length);
});

test("whoever asks on the agent's machine, as its user, finds the same, also by another way to its directory", () => {
  expect(ownNodeName("data")).toBe(ownNodeName(resolve("data")));
  expect(ownNodeName(undefined)).not.toBe(ownNodeName("data"));
});
