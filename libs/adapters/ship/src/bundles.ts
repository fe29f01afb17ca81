import { type Bundle, bundleClosure, bundleModule, completeClosure, isFresh, stopBundler } from "./bundle.ts";
import type { Emitted } from "./emit.ts";
import type { FoundExport } from "./find-export.ts";

/** Bundles that are kept, those used longest ago leaving first: a program may make functions of new text for ever. */
const BUNDLES_MAX = 1_000;

/** Bundles what is shipped, each text once as long as the files in it are the same. */
export class Bundles implements AsyncDisposable {
  /** By what was bundled, the one used longest ago first. Size <= BUNDLES_MAX. */
  readonly #bundles = new Map<string, Promise<Bundle>>();
  #usedBundler = false;

  /** A module with all it imports. */
  ofModule(module: FoundExport): Promise<Bundle> {
    return this.#keyed(`module ${module.file}`, () => this.#bundling(bundleModule(module)));
  }

  /** A closure's module with all it imports. */
  ofClosure(emitted: Emitted): Promise<Bundle> {
    const key = JSON.stringify([emitted.text, emitted.map, emitted.requests]);
    return this.#keyed(key, () =>
      emitted.requests.length === 0
        ? Promise.resolve(completeClosure(emitted))
        : this.#bundling(bundleClosure(emitted)),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const pending = [...this.#bundles.values()];
    this.#bundles.clear();
    await Promise.allSettled(pending);
    if (this.#usedBundler) await stopBundler();
  }

  #bundling(bundle: Promise<Bundle>): Promise<Bundle> {
    this.#usedBundler = true;
    return bundle;
  }

  async #keyed(key: string, make: () => Promise<Bundle>): Promise<Bundle> {
    const known = this.#bundles.get(key);
    if (known !== undefined) {
      const bundle = await known.catch(() => undefined);
      if (bundle !== undefined && isFresh(bundle)) {
        this.#keep(key, known);
        return bundle;
      }
    }
    const making = Promise.resolve().then(make);
    this.#keep(key, making);
    return await making;
  }

  #keep(key: string, bundle: Promise<Bundle>): void {
    this.#bundles.delete(key);
    this.#bundles.set(key, bundle);
    for (const oldest of this.#bundles.keys()) {
      if (this.#bundles.size <= BUNDLES_MAX) break;
      this.#bundles.delete(oldest);
    }
  }
}
