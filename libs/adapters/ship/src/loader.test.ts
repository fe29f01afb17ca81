import type { AnyFunction } from "@heddle/port-shipper";
import { describe, expect, test } from "vitest";
import { createFunctionLoader } from "./loader.ts";
import { createShipper } from "./shipper.ts";
import { Project } from "./testing.ts";

describe("the loader", () => {
  test("says which file it cannot read", async () => {
    const missing = createFunctionLoader().load("/nowhere/artifact.mjs", "0".repeat(64), "f");
    await expect(missing).rejects.toMatchObject({
      code: "protocol",
      message: expect.stringContaining("/nowhere/artifact.mjs"),
    });
  });

  test("lets a module's own error through", async () => {
    using project = new Project({
      "tasks.ts":
        "export const f = () => 1; if ('artifacts' === import.meta.dirname?.split('/').at(-1)) throw new RangeError('at load');",
    });
    const { f } = await project.import<{ f: AnyFunction }>("tasks.ts");
    await using shipper = createShipper();
    const { artifact } = await shipper.ship(f);
    await expect(createFunctionLoader().load(project.store(artifact), artifact.hash, "f")).rejects.toThrow(
      new RangeError("at load"),
    );
  });

  test("refuses an export that is no function", async () => {
    using project = new Project({ "tasks.ts": "export const f = () => 1; export const one = 1;" });
    const { f } = await project.import<{ f: AnyFunction }>("tasks.ts");
    await using shipper = createShipper();
    const { artifact } = await shipper.ship(f);
    await expect(createFunctionLoader().load(project.store(artifact), artifact.hash, "one")).rejects.toThrow(
      /one .* is no function/,
    );
  });
});
