import type { AnyFunction } from "@heddle/port-shipper";
import type { Shared } from "@heddle/wire";
import { ExportFinder } from "../find-export.ts";
import type { FunctionInspector } from "../inspect.ts";
import { GraphBuilder, type KnownMember } from "./builder.ts";
import type { CaptureGraph } from "./graph.ts";
import { Scripts } from "./scripts.ts";

/** What a capturer must know of the program that it works in. */
export interface CapturerOptions {
  readonly inspector: FunctionInspector;
  /** The file is the running program itself: what it exports is captured, not imported, for its top level must not run again. */
  readonly isEntry: (file: string) => boolean;
  /** The export that a stand-in stands for; undefined for what is none. */
  readonly memberOf: (value: unknown) => KnownMember | undefined;
}

/** A captured function. */
export interface Captured {
  readonly graph: CaptureGraph;
  /**
   * What is to be said of a later call: "same" when nothing can have changed, new bytes when the same code has other values now,
   * undefined when it must be captured again.
   */
  refresh(): "same" | Uint8Array | undefined;
  /** Handles of shared objects among the values that were captured last, which have to be made before the function runs anywhere. */
  unmade(): readonly Shared[];
  /** In words, one of the objects among them that have no name; undefined when all have. */
  unnamed(): string | undefined;
}

/** Finds out all that functions need to run elsewhere. Synchronous: what it sees is of one moment. */
export class Capturer {
  readonly #options: CapturerOptions;
  readonly #scripts: Scripts;
  readonly #exports: ExportFinder;

  constructor(options: CapturerOptions) {
    this.#options = options;
    this.#scripts = new Scripts(options.inspector);
    this.#exports = new ExportFinder(options.inspector);
  }

  /** Throws CaptureError for what cannot travel, LimitError for values that are too large. */
  capture(fn: AnyFunction): Captured {
    const { inspector, isEntry, memberOf } = this.#options;
    return new GraphBuilder({
      scripts: this.#scripts,
      scopesOf: (of) => inspector.scopesOf(of),
      exportOf: (of) => this.#exports.findAny(of, isEntry),
      memberOf,
    }).build(fn);
  }
}
