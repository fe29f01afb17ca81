import { afterEach, describe, expect, test } from "vitest";
import type { AnyFunction, Artifact, FunctionLoader, Shipper } from "./index.ts";

/** What an implementation brings to be tried. Disposed after each test. */
export interface ShipperCandidate extends AsyncDisposable {
  readonly shipper: Shipper;
  readonly loader: FunctionLoader;
  /** Stores an artifact where the loader finds it, and tells where. */
  readonly store: (artifact: Artifact) => Promise<string>;
  /** Two functions that can be shipped: `double(n)` gives 2n, `fail()` throws a TypeError with the message "as told". */
  readonly functions: { readonly double: AnyFunction; readonly fail: AnyFunction };
}

/** What every pair of shipper and loader promises. */
export function shipperContract(name: string, open: () => Promise<ShipperCandidate>): void {
  describe(`${name} keeps the contract of shippers and loaders:`, () => {
    const opened: ShipperCandidate[] = [];
    const candidate = async (): Promise<ShipperCandidate> => {
      const one = await open();
      opened.push(one);
      return one;
    };
    afterEach(async () => {
      for (const one of opened.splice(0)) await one[Symbol.asyncDispose]();
    });

    test("a shipped function, loaded, does what the original does", async () => {
      const { shipper, loader, store, functions } = await candidate();
      const { artifact, exportName, displayName } = await shipper.ship(functions.double);
      const loaded = await loader.load(await store(artifact), artifact.hash, exportName);
      expect(loaded(21)).toBe(42);
      expect(displayName).toBe("double");
      expect(artifact.hash).toMatch(/^[0-9a-f]{64}$/);
    });

    test("what the original throws, the loaded one throws", async () => {
      const { shipper, loader, store, functions } = await candidate();
      const { artifact, exportName } = await shipper.ship(functions.fail);
      const loaded = await loader.load(await store(artifact), artifact.hash, exportName);
      expect(() => loaded()).toThrow(new TypeError("as told"));
    });

    test("the same function ships as the same artifact", async () => {
      const { shipper, functions } = await candidate();
      const [first, again] = [await shipper.ship(functions.double), await shipper.ship(functions.double)];
      expect(again.artifact.hash).toBe(first.artifact.hash);
      expect(again.exportName).toBe(first.exportName);
    });

    test("a loader gives the same function object each time", async () => {
      const { shipper, loader, store, functions } = await candidate();
      const { artifact, exportName } = await shipper.ship(functions.double);
      const location = await store(artifact);
      const first = await loader.load(location, artifact.hash, exportName);
      expect(await loader.load(location, artifact.hash, exportName)).toBe(first);
    });

    test("a loader refuses another artifact's hash and an export that is not there", async () => {
      const { shipper, loader, store, functions } = await candidate();
      const { artifact, exportName } = await shipper.ship(functions.double);
      const location = await store(artifact);
      const wrong = loader.load(location, "0".repeat(64), exportName);
      await expect(wrong).rejects.toMatchObject({ code: "protocol" });
      const missing = loader.load(location, artifact.hash, "no such export");
      await expect(missing).rejects.toMatchObject({ code: "protocol" });
    });
  });
}
