import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { lineAt, nodesOf, parseSource, sourcesUnder } from "./source.ts";

const repository = join(import.meta.dirname, "..");
const linesMax = { fileSoft: 300, file: 500, function: 70 };

const folders = ["libs", "apps", "tests", "tools", "examples"].filter((name) => existsSync(join(repository, name)));
const sources = folders
  .flatMap((folder) => sourcesUnder(repository, folder))
  .map((path) => ({ path, ...parseSource(repository, path) }));

describe("every source is small enough to read", () => {
  test(`files have at most ${linesMax.file} lines`, () => {
    const sized = sources.map(({ path, text }) => ({ path, lines: text.split("\n").length - 1 }));
    for (const { path, lines } of sized.filter(({ lines }) => lines > linesMax.fileSoft)) {
      console.log(`long: ${path} has ${lines} lines, more than ${linesMax.fileSoft}`);
    }
    expect(sized.filter(({ lines }) => lines > linesMax.file)).toEqual([]);
  });

  test(`functions have at most ${linesMax.function} lines`, () => {
    // A suite is a list of tests inside one function; its tests are what should be short.
    const measured = sources.filter(({ path }) => !/\.(test|deploy)\.ts$|\/contract\.ts$|\/contract\//.test(path));
    const long = measured.flatMap(({ path, text, program }) =>
      [...nodesOf(program)]
        .filter(({ type }) => /^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(type))
        .map(({ start, end }) => ({ at: `${path}:${lineAt(text, start)}`, lines: lineAt(text.slice(start, end), end) }))
        .filter(({ lines }) => lines > linesMax.function),
    );
    expect(long).toEqual([]);
  });
});

test("nothing is exported without a name, but what vitest wants so", () => {
  const own = sources.filter(({ path }) => !path.endsWith("/vitest.config.ts"));
  const unnamed = own.filter(({ program }) =>
    [...nodesOf(program)].some(({ type }) => type === "ExportDefaultDeclaration"),
  );
  expect(unnamed.map(({ path }) => path)).toEqual([]);
});

describe("nothing depends on the machine it was written on", () => {
  test("the lock names packages and hashes, not where they were fetched", () => {
    const lock = JSON.parse(readFileSync(join(repository, "package-lock.json"), "utf8")) as {
      packages: Record<string, { resolved?: string }>;
    };
    const fetched = Object.values(lock.packages).filter(({ resolved }) => /:|^\//.test(resolved ?? ""));
    expect(fetched).toEqual([]);
  });

  test("no source has this checkout's path in it", () => {
    expect(sources.filter(({ text }) => text.includes(repository)).map(({ path }) => path)).toEqual([]);
  });
});
