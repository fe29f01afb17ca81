import { expect, test } from "vitest";
import { Sources } from "./sources.ts";
import { Project } from "./testing.ts";

const frame = (name: string): string => `RangeError: no\n    at f (${name}:5:30)\n    at async ${name}:1:2`;

test("stacks have the local path of a file again, whatever it is called", () => {
  using project = new Project({ "package.json": '{"name": "@team/app"}' });
  const sources = new Sources();
  for (const name of ["src/tasks.ts", "my app/(group)/a b.ts", "wie schön.ts", "50%.ts", "what?#1.ts"]) {
    const file = project.write(name, "");
    const url = sources.urlOf(file);
    expect(url).toMatch(/^heddle:\/\/\/@team\/app\/[^\s()?#]+$/);
    expect(new URL(url).href).toBe(url); // Node.js parses what maps name
    expect(sources.localStack(frame(url))).toBe(frame(file));
  }
});

test("a file that is not this program's keeps the name of its package", () => {
  expect(new Sources().localStack(frame("heddle:///other/src/a%20b.ts"))).toBe(frame("other/src/a b.ts"));
  expect(new Sources().localStack("at f (/srv/a.ts:1:1)")).toBe("at f (/srv/a.ts:1:1)");
  expect(new Sources().localStack("said heddle:///100%")).toBe("said 100%");
});

test("files of packages are named alike wherever they are installed, others by their directory or their name alone", () => {
  using project = new Project({ "package.json": "{", "node_modules/@team/tool/package.json": "{}" });
  const sources = new Sources();
  expect(sources.urlOf(project.write("node_modules/@team/tool/a.js", ""))).toBe(
    "heddle:///node_modules/@team/tool/a.js",
  );
  expect(sources.urlOf(project.write("b.js", ""))).toMatch(/^heddle:\/\/\/ship-test-\w+\/b\.js$/);
});
