import { durationOf } from "@heddle/adapter-command";
import { InvalidArgumentError, NotFoundError } from "@heddle/kernel";
import { describe, expect, test } from "vitest";
import { duration, plainText, plainValue } from "./format.ts";
import { type Kind, kindNames, kindOf, named } from "./kinds.ts";
import { documentText } from "./output.ts";
import { nameOf } from "./shared-kinds.ts";
import { Table } from "./table.ts";
import { divide, nodeBase } from "./up.ts";

interface Fruit {
  readonly name: string;
  readonly color: string;
}

const fruits: Kind<Fruit> = {
  title: "fruits",
  list: () => Promise.resolve([]),
  names: ({ name, color }) => [name, color],
  restless: [],
  columns: [
    { heading: "NAME", cell: ({ name }) => name },
    { heading: "COLOR", cell: ({ color }) => color, isWide: true },
  ],
};
const apple = { name: "apple", color: "green" };
const apricot = { name: "apricot", color: "orange" };
const plum = { name: "plum", color: "" };

describe("tables", () => {
  test("columns are as wide as their widest cell, three spaces apart, and lines end with their text", () => {
    const table = new Table(fruits.columns, { wide: true, headings: true });
    expect(table.lines([apple, apricot, plum])).toEqual([
      "NAME      COLOR",
      "apple     green",
      "apricot   orange",
      "plum",
    ]);
  });

  test("wide columns show only when asked for, and headings can be left out", () => {
    expect(new Table(fruits.columns, { wide: false, headings: true }).lines([apple])).toEqual(["NAME", "apple"]);
    expect(new Table(fruits.columns, { wide: true, headings: false }).lines([plum, apple])).toEqual([
      "plum",
      "apple   green",
    ]);
  });

  test("rows that follow keep the columns and need no second heading", () => {
    const table = new Table(fruits.columns, { wide: true, headings: true });
    table.lines([apricot]);
    expect(table.lines([apple])).toEqual(["apple     green"]);
  });

  test("a wide character takes two columns", () => {
    const lines = new Table(fruits.columns, { wide: true, headings: false }).lines([
      { name: "苹果", color: "red" },
      { name: "plum", color: "blue" },
    ]);
    expect(lines).toEqual(["苹果   red", "plum   blue"]);
  });
});

describe("texts of the server", () => {
  test("cannot steer the terminal or break a line", () => {
    expect(plainText("a\u001b[31mb\nc\r\u009bd\u202ee\u2028f\u0000")).toBe("a[31mbcdef");
    expect(plainValue({ list: ["a\u0007", 1], deep: { "key\u001b": "b\u009d" } })).toEqual({
      list: ["a", 1],
      deep: { key: "b" },
    });
  });

  test("become JSON or YAML documents", () => {
    const value = { name: "n\u001b1", labels: { gpu: "yes" }, slots: 2 };
    expect(JSON.parse(documentText("json", value))).toEqual({ name: "n1", labels: { gpu: "yes" }, slots: 2 });
    expect(documentText("yaml", value)).toBe("name: n1\nlabels:\n  gpu: yes\nslots: 2\n");
  });
});

test("durations are short and never lose a unit that matters", () => {
  const texts = [0, 999, 1_000, 119_999, 120_000, 125_000, 3_600_000, 11_100_000, 28_800_000, 200_000_000, 9e8].map(
    duration,
  );
  expect(texts).toEqual(["0ms", "999ms", "1s", "119s", "2m", "2m5s", "60m", "3h5m", "8h", "2d7h", "10d"]);
});

describe("what a name means", () => {
  test("is the item of that name, else the only one that begins so", () => {
    const items = [apple, apricot, plum];
    expect(named(fruits, items, "apple")).toBe(apple);
    expect(named(fruits, items, "orange")).toBe(apricot);
    expect(named(fruits, items, "pl")).toBe(plum);
    expect(named(fruits, [apple, { name: "apple-2", color: "" }], "apple")).toBe(apple);
  });

  test("is an error when it is none or several", () => {
    expect(() => named(fruits, [apple], "pear")).toThrow(new NotFoundError('there is no fruit "pear"'));
    const several = '"ap" is the beginning of 2 fruits: apple, apricot';
    expect(() => named(fruits, [apple, apricot], "ap")).toThrow(new NotFoundError(several));
  });

  test("kinds go by plural, singular and short names", () => {
    const meant = ["nodes", "node", "no", "jobs", "job", "objects", "object", "lock", "session"];
    expect(meant.map((word) => kindOf("get", word, kindNames))).toEqual([
      ...["nodes", "nodes", "nodes", "jobs", "jobs", "objects", "objects", "locks", "sessions"],
    ]);
  });

  test("kinds that are none, or not for this command, are refused with those that are", () => {
    expect(() => kindOf("get", "nodez", kindNames)).toThrow(InvalidArgumentError);
    const all = "get nodes, jobs, objects, locks or sessions";
    expect(() => kindOf("get", "nodez", kindNames)).toThrow(`there is no kind "nodez": ${all}; did you mean nodes?`);
    const two = ["objects", "locks"] as const;
    expect(() => kindOf("describe", "nodes", two)).toThrow(/^not for nodes: describe objects or locks$/);
    expect(() => kindOf("describe", "loks", two)).toThrow("did you mean locks?");
    expect(() => kindOf("why", "session", ["locks"])).toThrow(/^not for sessions: why locks$/);
  });

  test("an object is named without its sign, unless that makes it another's id or name", () => {
    const id = "0".repeat(32);
    expect(["@ledger", id, `@${id}`, "@@x", "@abc"].map(nameOf)).toEqual(["ledger", id, `@${id}`, "@@x", "abc"]);
  });
});

describe("a fabric of one machine", () => {
  test("divides the cores between its agents, at least one each", () => {
    expect([divide(8, 1), divide(8, 3), divide(2, 4), divide(1, 1)]).toEqual([[8], [3, 3, 2], [1, 1, 1, 1], [1]]);
  });

  test("names its nodes after the machine, legally", () => {
    expect(["box", "Big.Box.example.org", "Ünï_code", "--", "x".repeat(99)].map(nodeBase)).toEqual([
      "box",
      "big",
      "n-code",
      "node",
      "x".repeat(50),
    ]);
  });
});

describe("times that people write", () => {
  test.each([
    ["0", 0],
    ["0s", 0],
    ["300ms", 300],
    ["90s", 90_000],
    ["1.5m", 90_000],
    ["1h30m", 5_400_000],
    ["7d", 604_800_000],
  ])("%s is understood", (text, ms) => {
    expect(durationOf(text)).toBe(ms);
  });

  test.each(["", "5", "-5s", "5 s", "s", "5x", "5s5", "1e3s", "soon", "5m, then"])("%j is no time", (text) => {
    expect(() => durationOf(text)).toThrow(InvalidArgumentError);
  });
});
