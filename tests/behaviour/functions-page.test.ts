import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { functionShapes } from "./shapes/function-shapes.ts";
import { refusedFunctions } from "./shapes/refused-functions.ts";

/** First cells of the tables below a heading, up to the next one. */
function rowsBelow(heading: string): string[] {
  const page = readFileSync(join(import.meta.dirname, "../../docs/functions.md"), "utf8");
  const [section = ""] = (page.split(`\n## ${heading}\n`)[1] ?? "").split("\n## ");
  const cells = section.split("\n").flatMap((line) => /^\| ([^|]+) \|/.exec(line)?.[1]?.trim() ?? []);
  return cells.filter((_, at, all) => !section.includes(`| ${all[at]} | |\n|---`) && all[at] !== "what");
}

test("the page on functions lists exactly the function shapes that are tried", () => {
  expect(rowsBelow("Functions that travel")).toEqual(functionShapes.map(({ name }) => name));
});

test("the page on functions lists exactly the refusals that are tried", () => {
  expect(rowsBelow("Functions that do not")).toEqual(refusedFunctions.map(({ name }) => name));
});
