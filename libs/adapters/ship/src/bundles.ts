import { createHash } from "node:crypto";
import {
  type Bundle,
  type BundleSettings,
  bundleClosure,
  bundleModule,
  completeClosure,
  stopBundler,
} from "./bundle.ts";
import { areFresh } from "./bundle-inputs.ts";
import type { Emitted } from "./emit.ts";
import type { FoundExport } from "./find-export.ts";

/** Bundles that are kept, those used longest ago leaving first: a program may make functions of new text for ever. */
const BUNDLES_MAX = 1_000;
/** Bytes of the bundles that are kept, the one in use always allowed. Those used longest ago leave first. */
const BUNDLES_BYTES_MAX = 256 * 1024 * 1024;

/** A bundle on its way, and then there. */
interface Kept {
  readonly promise: Promise<Bundle>;
  bundle: Bundle | undefined;
}

/** Bundles what is shipped, each text once as long as the files in it are the same. */
export class Bundles implements AsyncDisposable {
  readonly #settings: BundleSettings;
  readonly #bytesMax: number;
  /** By what was bundled, the one used longest ago first. Size <= BUNDLES_MAX. Those that fail leave at once. */
  readonly #kept = new Map<string, Kept>();
  /** Bytes of all that are there. */
  #bytes = 0;
  #usedBundler = false;

  constructor(settings: BundleSettings, bytesMax = BUNDLES_BYTES_MAX) {
    this.#settings = settings;
    this.#bytesMax = bytesMax;
  }

  /** How many bundles are kept. */
  get size(): number {
    return this.#kept.size;
  }

  /** A module with all it imports. */
  ofModule(module: FoundExport): Promise<Bundle> {
    return this.#keyed(`module ${module.file}`, () => {
      this.#usedBundler = true;
      return bundleModule(module, this.#settings);
    });
  }

  /** A closure's module with all it imports. */
  ofClosure(emitted: Emitted): Promise<Bundle> {
    const { text, map, requests } = emitted;
    const key = createHash("sha256")
      .update(JSON.stringify([text, map, requests]))
      .digest("hex");
    return this.#keyed(key, async () => {
      if (requests.length === 0) return completeClosure(emitted, this.#settings);
      this.#usedBundler = true;
      return await bundleClosure(emitted, this.#settings);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const pending = [...this.#kept.values()].map(({ promise }) => promise);
    this.#kept.clear();
    this.#bytes = 0;
    await Promise.allSettled(pending);
    if (this.#usedBundler) await stopBundler();
  }

  #keyed(key: string, make: () => Promise<Bundle>): Promise<Bundle> {
    const known = this.#kept.get(key);
    if (known !== undefined && (known.bundle === undefined || areFresh(known.bundle.inputs))) {
      this.#kept.delete(key);
      this.#kept.set(key, known);
      return known.promise;
    }
    this.#forget(key);
    const kept: Kept = { promise: make(), bundle: undefined };
    this.#kept.set(key, kept);
    kept.promise.then(
      (bundle) => this.#arrived(key, kept, bundle),
      () => this.#kept.get(key) === kept && this.#forget(key),
    );
    return kept.promise;
  }

  #arrived(key: string, kept: Kept, bundle: Bundle): void {
    if (this.#kept.get(key) !== kept) return;
    kept.bundle = bundle;
    this.#bytes += bundle.artifact.bytes.length;
    for (const [oldest, { bundle: there }] of this.#kept) {
      if (this.#kept.size <= BUNDLES_MAX && this.#bytes <= this.#bytesMax) break;
      if (oldest !== key && there !== undefined) this.#forget(oldest);
    }
  }

  #forget(key: string): void {
    this.#bytes -= this.#kept.get(key)?.bundle?.artifact.bytes.length ?? 0;
    this.#kept.delete(key);
  }
}
