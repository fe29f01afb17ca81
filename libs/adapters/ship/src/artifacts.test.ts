import type { AnyFunction } from "@heddle/port-shipper";
import { describe, expect, test } from "vitest";
import { createShipper } from "./shipper.ts";
import { adder, Project } from "./testing.ts";

describe("an artifact", () => {
  const sources = {
    "src/deep/tasks.ts":
      'import { one } from "../one.ts";\nimport add from "adder";\nexport const f = (n: number) => add(n) + one;\n',
    "src/one.ts": "export const one = 1;",
    ...adder,
    "package.json": '{"name": "my-tasks", "type": "module"}',
  };

  test("is the same wherever the checkout is", async () => {
    using here = new Project(sources);
    using there = new Project(sources);
    await using shipper = createShipper();
    const hashes = [];
    for (const project of [here, there]) {
      const { f } = await project.import<{ f: AnyFunction }>("src/deep/tasks.ts");
      hashes.push((await shipper.ship(f)).artifact.hash);
    }
    expect(hashes[0]).toBe(hashes[1]);
  });

  test("is one for all functions of a module, and new when a file of it changed", async () => {
    using project = new Project({
      "tasks.ts": 'export { g } from "./g.ts"; export const f = () => 1; export const h = () => 1;',
      "g.ts": "export const g = () => 1;",
    });
    const { f, h } = await project.import<{ f: AnyFunction; h: AnyFunction }>("tasks.ts");
    await using shipper = createShipper();
    const first = await shipper.ship(f);
    project.write("g.ts", "export const g = () => 1000;");
    const second = await shipper.ship(h);
    expect(await shipper.ship(f)).toBe(first);
    expect(second.artifact.hash).not.toBe(first.artifact.hash);
    await using fresh = createShipper();
    expect((await fresh.ship(f)).artifact.hash).toBe(second.artifact.hash);
  });

  test("points with its stack traces at the user's file and line", async () => {
    using project = new Project({
      ...sources,
      "src/throws.ts":
        "interface Unused {\n  x: 1;\n}\nexport function boom(): never {\n  throw new Error('here');\n}\n",
    });
    const { boom } = await project.import<{ boom: AnyFunction }>("src/throws.ts");
    await using shipper = createShipper();
    const location = project.store((await shipper.ship(boom)).artifact);
    project.write(
      "main.mjs",
      `import { boom } from ${JSON.stringify(location)}; try { boom(); } catch (error) { console.log(error.stack); }`,
    );
    expect(await project.run("main.mjs", "--enable-source-maps")).toMatch(
      /at boom \(.*my-tasks\/src\/throws\.ts:5:9\)/,
    );
  });
});

test("shipping a function again costs nothing, at the same time too", async () => {
  using project = new Project({ "tasks.ts": "export const f = () => 1;" });
  const { f } = await project.import<{ f: AnyFunction }>("tasks.ts");
  await using shipper = createShipper();
  const shipped = await Promise.all([shipper.ship(f), shipper.ship(f), shipper.ship(f)]);
  expect(new Set(shipped).size).toBe(1);
});

test("what was refused is tried again", async () => {
  using project = new Project({
    "tasks.ts": 'import { g } from "./missing.ts"; export const f = () => g;',
    "missing.ts": "export const g = 1;",
  });
  const { f } = await project.import<{ f: AnyFunction }>("tasks.ts");
  await using shipper = createShipper();
  project.write("missing.ts", "export const h = 1;");
  await expect(shipper.ship(f)).rejects.toThrow(/cannot be bundled/);
  project.write("missing.ts", "export const g = 1;");
  expect((await shipper.ship(f)).exportName).toBe("f");
});

test("each function of shipped code can be shipped on from where it runs, as the same artifact", async () => {
  using project = new Project({
    "tasks.ts": "export const f = (n: number) => n + 1; export const g = (n: number) => 2 * n;",
  });
  const { f } = await project.import<{ f: AnyFunction }>("tasks.ts");
  await using outside = createShipper();
  const { artifact } = await outside.ship(f);
  project.store(artifact);
  const there = await project.import<{ f: AnyFunction; g: AnyFunction }>(`artifacts/${artifact.hash}.mjs`);
  await using inside = createShipper();
  const shipped = await Promise.all([inside.ship(there.f), inside.ship(there.g)]);
  expect(shipped.map(({ exportName }) => exportName)).toEqual(["f", "g"]);
  for (const one of shipped) expect(one.artifact.hash).toBe(artifact.hash);
  expect((await project.load(shipped[1] ?? shipped[0]))(20)).toBe(40);
});
