import type { AnyFunction } from "@heddle/port-shipper";
import { describe, expect, test } from "vitest";
import { createShipper } from "./shipper.ts";
import { type Call, Project } from "./testing.ts";

const files = {
  "package.json": '{"name": "app"}',
  "node_modules/native/package.json": '{"name": "native", "main": "index.js"}',
  "node_modules/native/index.js": 'exports.where = "client"; try { require("bindings")("addon"); } catch {}',
  "node_modules/bindings/package.json": '{"name": "bindings"}',
  "node_modules/bindings/index.js": "module.exports = () => undefined;",
  "node_modules/user/package.json": '{"name": "user"}',
  "node_modules/user/index.js": 'exports.asked = () => require("native").where;',
  "tasks.mjs": `
    import native from "native";
    import { asked } from "user";
    export const f = () => [native.where, asked()];
    const k = 1;
    export const get = () => () => [native.where, k];`,
  "there/node_modules/native/package.json": '{"name": "native"}',
  "there/node_modules/native/index.js": 'exports.where = "worker";',
};

async function shipped(project: Project, name: string, external: readonly string[]) {
  await using shipper = createShipper({ external });
  const { f, get } = await project.import<{ f: AnyFunction; get: AnyFunction }>("tasks.mjs");
  return project.describe(await shipper.ship(name === "f" ? f : (get() as AnyFunction)));
}

describe("a package that is declared external", () => {
  test("is found where the worker is, by modules and by closures, by import and by require", async () => {
    using project = new Project(files);
    const [exported, closure] = [await shipped(project, "f", ["native"]), await shipped(project, "get", ["native"])];
    expect(await project.callElsewhere([[exported], [closure]], { cwd: "there" })).toEqual([
      ["worker", "worker"],
      ["worker", 1],
    ]);
  });

  test("is missed in words where it is not installed", async () => {
    using project = new Project({ ...files, "worker/empty": "" });
    using elsewhere = new Project({});
    const told = await shipped(project, "get", ["native"]);
    expect((await elsewhere.callElsewhere([[told]]))[0]).toMatch(
      /NotFoundError: the package native is not installed where this worker runs.*declared external \(looked for from /,
    );
  });

  test("is refused when it is not declared, with who asks for it and where", async () => {
    using project = new Project(files);
    await expect(shipped(project, "f", [])).rejects.toMatchObject({
      message: expect.stringContaining("needs the native addon of the package native, loaded by bindings"),
      path: "native",
      file: project.path("tasks.mjs"),
      line: 2,
    });
    await expect(shipped(project, "get", [])).rejects.toMatchObject({ file: project.path("tasks.mjs"), line: 2 });
  });

  test("is named as packages are", () => {
    for (const name of ["./native", "native/build", "*/ evil", ""])
      expect(() => createShipper({ external: [name] })).toThrow(TypeError);
    expect(() => createShipper({ external: ["@scope/native", "native"] })).not.toThrow();
  });
});

describe("what code itself does without", () => {
  test("a dependency that is not installed and whose absence is caught stays absent", async () => {
    using project = new Project({
      "tasks.mjs": 'import socket from "socket"; export const f = () => socket;',
      "node_modules/socket/package.json": '{"name": "socket"}',
      "node_modules/socket/index.js":
        'let fast; try { fast = require("faster"); } catch (error) { fast = error.code; } module.exports = fast;',
    });
    await using shipper = createShipper();
    const { f } = await project.import<{ f: AnyFunction }>("tasks.mjs");
    const sent = project.describe(await shipper.ship(f));
    expect(await project.callElsewhere([[sent]])).toEqual(["MODULE_NOT_FOUND"]);
  });

  test("a module named by URL is refused", async () => {
    using project = new Project({ "tasks.mjs": 'export const f = () => import("https://example.org/a.js");' });
    await using shipper = createShipper();
    const { f } = await project.import<{ f: AnyFunction }>("tasks.mjs");
    await expect(shipper.ship(f)).rejects.toThrow(/imports https:.*modules are not fetched by URL.*tasks\.mjs:1/);
  });
});

describe("heddle in shipped code", () => {
  const using_ = {
    "node_modules/heddle/package.json": '{"name": "heddle", "exports": {".": "./index.js", "./more": "./index.js"}}',
    "node_modules/heddle/index.js": 'exports.where = "client"; exports.task = () => "client";',
    "inside.mjs": 'export const where = "worker"; export const task = () => "task";',
    "tasks.mjs": `import { task, where } from "heddle";
      export const f = () => where;
      export const get = () => () => [where, task()];`,
  };

  test("is the worker's own, for modules and for closures", async () => {
    using project = new Project(using_);
    await using shipper = createShipper();
    const { f, get } = await project.import<{ f: AnyFunction; get: AnyFunction }>("tasks.mjs");
    const inside = { heddle: new URL(`file://${project.path("inside.mjs")}`).href };
    const calls: Call[] = [];
    for (const fn of [f, get() as AnyFunction]) calls.push([project.describe(await shipper.ship(fn))]);
    expect(await project.callElsewhere(calls, { inside })).toEqual(["worker", ["worker", "task"]]);
  });
});
