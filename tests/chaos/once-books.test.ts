import { describe, expect, test } from "vitest";
import { OnceBooks } from "./once-books.ts";

describe("writes that count once", () => {
  function books(): OnceBooks {
    const all = new OnceBooks();
    for (const key of ["a", "b", "c"]) all.hear({ key, state: "asked" });
    for (const key of ["a", "b"]) all.hear({ key, state: "answered", done: [0, 1], unknown: [2] });
    all.hear({ key: "a", state: "checked" });
    return all;
  }
  const left = (b: readonly number[], c: readonly number[], sumOfC = c.length) => [
    { key: "b", sum: b.length, lines: b },
    { key: "c", sum: sumOfC, lines: c },
  ];

  test("are to be looked at in the end unless that was done", () => {
    expect(books().open()).toEqual(["b", "c"]);
  });

  test.for([
    [left([1, 0], [3]), 5],
    [left([1, 0, 2], []), 5],
  ] as const)("are right with what results say, and what nobody knows: %j", ([all, together]) => {
    expect(books().complaints(all, together)).toEqual([]);
  });

  test.for([
    [left([0], []), 3, "writes of items 1 of b, which have results, are not there"],
    [left([0, 1, 3], []), 5, "items 3 of b have no result, and their writes are there"],
    [left([0, 1], [5, 5]), 6, "lines of c are there twice: 5 5"],
    [left([0, 1], [5], 2), 5, "the sum of c is 2, and 1 lines were written with it"],
    [left([0, 1], [5]), 6, "the sum of all that counts once is 6, and 5 items have counted"],
    [left([0, 1], [5]), 4, "the sum of all that counts once is 4, and 5 items have counted"],
  ] as const)("are wrong otherwise: %j and %i together", ([all, together, words]) => {
    expect(books().complaints(all, together)).toEqual([words]);
  });
});
