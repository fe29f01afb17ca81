import type { Shared, SharedDescription } from "./shared.ts";

/**
 * How functions travel inside values, for ends that can ship them. Without hooks a function is a SerializationError, on either side.
 * The hooks of the two ends belong together: what the writer's makes, the reader's takes.
 */
export interface ValueWriterHooks {
  /**
   * The value that goes in the function's place, or undefined when it cannot travel here; asked once for each function of a value.
   * What it throws comes out untouched, except below an error: an error always travels, with words in place of that field.
   */
  readonly reduceFunction: (fn: (...args: never[]) => unknown) => unknown;
  /** Told of each handle of a shared object that was met, and how it has described itself, once in each value. What it throws comes out untouched. */
  readonly metShared?: (handle: Shared, description: SharedDescription) => void;
}

/** The reader's half. */
export interface ValueReaderHooks {
  /** The function for such a value; without it a function is a SerializationError. When it throws, that comes out untouched, and the value may be read again from its start. */
  readonly reviveFunction?: (description: unknown) => unknown;
  /** A live handle of a shared object; without it a SharedReference comes instead. When it throws, that comes out untouched. */
  readonly reviveShared?: (description: SharedDescription) => object;
}

/** Carries what a hook threw past those who would dress it up. */
export class HookFailure {
  readonly reason: unknown;

  constructor(reason: unknown) {
    this.reason = reason;
  }

  /** Runs a hook. */
  static guard<T>(run: () => T): T {
    try {
      return run();
    } catch (error) {
      throw new HookFailure(error);
    }
  }
}
