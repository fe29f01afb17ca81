export { memoryShipper } from "./memory.ts";

/** Any function a user may pass. */
// biome-ignore lint/suspicious/noExplicitAny: parameters of user functions are theirs
export type AnyFunction = (...args: any[]) => unknown;

/** Code made ready to travel. */
export interface Artifact {
  /** SHA-256 of `bytes`, 64 hex digits. */
  readonly hash: string;
  /** An ES module. */
  readonly bytes: Uint8Array;
}

/** A function made ready to travel: which export of which artifact, and what it closes over. */
export interface ShippedFunction {
  readonly artifact: Artifact;
  /** Name of the export, "default" included. */
  readonly exportName: string;
  /** What people call it: the function's own name, or "anonymous". */
  readonly displayName: string;
  /**
   * Undefined: the export is the function. Else the export is a FunctionMaker and these are its captured values, an array as one
   * encoded value, as they are now: up to CAPTURED_INLINE_BYTES_MAX as bytes, more as an artifact of their own.
   */
  readonly captured: Uint8Array | Artifact | undefined;
  /** In words, one of the shared objects without a name among its captured values: it ends with the program that has made it. */
  readonly unnamed?: string | undefined;
}

/**
 * What the export of a closure's artifact is: makes the function. It calls `values` exactly once, with functions of its own that
 * captured values may contain, and gets the captured values: a function among them was encoded as its index in that list.
 */
export type FunctionMaker = (values: (functions: readonly AnyFunction[]) => readonly unknown[]) => AnyFunction;

/** The client's half: turns a function object into code. */
export interface Shipper extends AsyncDisposable {
  /**
   * Repeatable and cheap the second time; captured values are those of the moment of the call. Rejects with CaptureError for what
   * cannot travel, LimitError for what is too large.
   */
  ship(fn: AnyFunction): Promise<ShippedFunction>;
  /**
   * A stand-in for an export of a module that need not be loaded here, to be shipped or captured. Calling it throws StateError.
   * Whether there is such an export turns out when it is shipped. "*" stands for the module: its members are stand-ins for its exports.
   */
  handle(module: URL, exportName: string): AnyFunction;
  /** Bytes that are no code, to travel as an artifact of their own. */
  pack(bytes: Uint8Array): Artifact;
  /** SHA-256 of bytes, 64 hex digits, as an artifact of them is named. */
  sha256Hex(bytes: Uint8Array): string;
  /** SHA-256 of what code says, without what tells where it was written: the same function in another line is the same. */
  codeHash(code: Artifact): string;
  /** A stack trace of shipped code with the files named as they are called on this machine. Others' lines stay as they are. */
  localStack(stack: string): string;
}

/** The worker's half: turns code back into a function object. */
export interface FunctionLoader {
  /**
   * The export of an artifact: a function, or the FunctionMaker of a closure. `location` as Blobs.locate gave it. Verifies the hash
   * each time it reads. Cheap the second time. Rejects with ProtocolError or the module's own error.
   */
  load(location: string, hash: string, exportName: string): Promise<AnyFunction>;
  /** The bytes of an artifact that is no code: captured values. Verifies the hash. Rejects with ProtocolError. */
  read(location: string, hash: string): Promise<Uint8Array>;
}
