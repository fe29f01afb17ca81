import { expect, test } from "vitest";
import { type Candidate, place } from "./placement.ts";

const node = (name: string, processes: number, more: Partial<Candidate> = {}): Candidate => {
  return {
    name,
    processes,
    labels: new Map(),
    leaving: false,
    cordoned: false,
    silent: false,
    excluded: false,
    faulty: false,
    ...more,
  };
};
const labelled = (name: string, processes: number, disk: string): Candidate =>
  node(name, processes, { labels: new Map([["disk", disk]]) });
const any = { node: "", labels: new Map<string, string>() };
const chosen = (nodes: readonly Candidate[], wish: Partial<typeof any> = {}, max = 4): string => {
  const placement = place(nodes, { ...any, ...wish }, max);
  return placement.type === "placed" ? placement.node.name : placement.type;
};

test("a process goes to the node with the fewest, then to the first by name", () => {
  expect(chosen([node("c", 1), node("b", 0), node("a", 0)])).toBe("a");
  expect(chosen([node("a", 2), node("b", 1), node("c", 3)])).toBe("b");
});

test("a node of which nothing is heard comes last, one that leaves never", () => {
  expect(chosen([node("a", 0, { silent: true }), node("b", 3)])).toBe("b");
  expect(chosen([node("b", 1, { silent: true }), node("a", 1, { silent: true })])).toBe("a");
  expect(chosen([node("a", 0, { leaving: true }), node("b", 3)])).toBe("b");
  expect(chosen([node("a", 0, { leaving: true })])).toBe("none");
});

test("a node that could not start one lately comes behind those that could", () => {
  expect(chosen([node("a", 0, { faulty: true }), node("b", 3)])).toBe("b");
  expect(chosen([node("a", 0, { faulty: true }), node("b", 3, { excluded: true })])).toBe("a");
  expect(chosen([node("a", 0, { faulty: true })])).toBe("a");
});

test("a cordoned node takes none, and may yet", () => {
  expect(chosen([node("a", 0, { cordoned: true }), node("b", 3)])).toBe("b");
  expect(chosen([node("a", 0, { cordoned: true }), node("b", 3)], { node: "a" })).toBe("cordoned");
  expect(chosen([node("a", 0, { cordoned: true, leaving: true })])).toBe("none");
  expect(chosen([node("a", 0, { cordoned: true }), node("b", 4)])).toBe("full");
});

test("a node that is excluded is taken only where there is no other but silent ones", () => {
  expect(chosen([node("a", 0, { excluded: true }), node("b", 3)])).toBe("b");
  expect(chosen([node("a", 3, { excluded: true }), node("b", 0, { silent: true })])).toBe("a");
});

test("labels and a name must all fit", () => {
  const nodes = [labelled("a", 0, "slow"), labelled("b", 2, "fast"), labelled("c", 1, "fast")];
  const labels = new Map([["disk", "fast"]]);
  expect(chosen(nodes, { labels })).toBe("c");
  expect(chosen(nodes, { labels, node: "b" })).toBe("b");
  expect(chosen(nodes, { labels, node: "a" })).toBe("none");
  expect(chosen(nodes, { labels: new Map([...labels, ["gpu", "yes"]]) })).toBe("none");
  expect(chosen([])).toBe("none");
});

test("a full node takes none; where all that fit are full it is not a lack of nodes", () => {
  expect(chosen([node("a", 4), node("b", 5)])).toBe("full");
  expect(chosen([node("a", 4), node("b", 0)], { node: "a" })).toBe("full");
  expect(chosen([node("a", 4), node("b", 3, { silent: true })])).toBe("b");
});
