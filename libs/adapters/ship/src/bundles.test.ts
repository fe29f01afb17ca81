import { LimitError } from "@heddle/kernel";
import { encodeValue } from "@heddle/wire";
import { afterAll, describe, expect, test } from "vitest";
import { bundleModule, stopBundler } from "./bundle.ts";
import { Bundles } from "./bundles.ts";
import { Sources } from "./sources.ts";
import { Project } from "./testing.ts";
import { packValues } from "./values-pack.ts";

afterAll(stopBundler);

const emitted = (name: string) => ({ text: `export default () => "${name}";\n`, map: "{}", requests: [] });
const moduleOf = (project: Project) => {
  return { file: project.path("tasks.ts"), exportName: "f", hasDefault: false, commonJsNames: undefined };
};

describe("bundles", () => {
  test("are made once for one text, at the same time too", async () => {
    const bundles = new Bundles({ sources: new Sources() });
    const all = await Promise.all([1, 2, 3].map(() => bundles.ofClosure(emitted("one"))));
    expect(new Set([...all, await bundles.ofClosure(emitted("one"))]).size).toBe(1);
    expect(await bundles.ofClosure(emitted("two"))).not.toBe(all[0]);
  });

  test("are made again when a file of theirs changed, once for all who ask", async () => {
    using project = new Project({ "tasks.ts": "export const f = () => 1;" });
    await using bundles = new Bundles({ sources: new Sources() });
    const first = await bundles.ofModule(moduleOf(project));
    expect(await bundles.ofModule(moduleOf(project))).toBe(first);
    project.write("tasks.ts", "export const f = () => 1000;");
    const [one, other] = await Promise.all([bundles.ofModule(moduleOf(project)), bundles.ofModule(moduleOf(project))]);
    expect(one).toBe(other);
    expect(one?.artifact.hash).not.toBe(first.artifact.hash);
  });

  test("that fail fail for all who wait, and are tried again by the next", async () => {
    using project = new Project({ "tasks.ts": 'export * from "./missing.ts";' });
    await using bundles = new Bundles({ sources: new Sources() });
    const failures = await Promise.allSettled([1, 2].map(() => bundles.ofModule(moduleOf(project))));
    const [one, other] = failures.map((failure) => (failure.status === "rejected" ? failure.reason : undefined));
    expect(one).toBe(other);
    expect(one).toBeInstanceOf(Error);
    expect(bundles.size).toBe(0);
    project.write("missing.ts", "export const f = () => 1;");
    expect((await bundles.ofModule(moduleOf(project))).exportNames).toEqual(new Set(["f"]));
  });

  test("above their bytes leave, those used longest ago first", async () => {
    const bundles = new Bundles({ sources: new Sources() }, 300);
    const [a, b] = [await bundles.ofClosure(emitted("a")), await bundles.ofClosure(emitted("b"))];
    expect(a.artifact.bytes.length * 3).toBeLessThan(300);
    await bundles.ofClosure(emitted("c"));
    expect(await bundles.ofClosure(emitted("a"))).toBe(a);
    for (const name of ["d", "e"]) await bundles.ofClosure(emitted(name));
    expect(bundles.size).toBe(3);
    expect(await bundles.ofClosure(emitted("a"))).toBe(a);
    expect(await bundles.ofClosure(emitted("b"))).not.toBe(b);
  });
});

describe("what is too large is a LimitError that says what makes it so:", () => {
  test("code", async () => {
    using project = new Project({
      "tasks.ts": 'export { big } from "./big.ts"; export const f = () => 1;',
      "big.ts": `export const big = "${"x".repeat(900)}";`,
    });
    const bundle = bundleModule(moduleOf(project), { sources: new Sources(), bytesMax: 500 });
    await expect(bundle).rejects.toThrow(LimitError);
    await expect(bundle).rejects.toMatchObject({
      limitName: "ARTIFACT_BYTES_MAX",
      limit: 500,
      message: expect.stringMatching(
        /^its code has \d+ bytes with all that it imports, .*: most of it big\.ts \(\d+ bytes\), tasks\.ts/,
      ),
    });
  });

  test("captured values", () => {
    const bytes = encodeValue([1, "x".repeat(1_000), [2]], "value");
    const cells = ["a", "b", "c"].map((name) => ({ kind: "value" as const, name }));
    expect(() => packValues(bytes, { cells }, 900)).toThrow(LimitError);
    expect(() => packValues(bytes, { cells }, 900)).toThrow(
      /most of it is b \(10\d\d bytes\); pass large values as arguments/,
    );
  });
});
