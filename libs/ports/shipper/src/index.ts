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

/** A function made ready to travel: which export of which artifact. */
export interface ShippedFunction {
  readonly artifact: Artifact;
  /** Name of the export, "default" included. */
  readonly exportName: string;
  /** What people call it: the function's own name, or "anonymous". */
  readonly displayName: string;
}

/** The client's half: turns a function object into code. */
export interface Shipper extends AsyncDisposable {
  /** Repeatable and cheap the second time. Rejects with CaptureError for what cannot travel. */
  ship(fn: AnyFunction): Promise<ShippedFunction>;
}

/** The worker's half: turns code back into a function object. */
export interface FunctionLoader {
  /** `location` as Blobs.locate gave it. Verifies the hash each time it reads. Cheap the second time. Rejects with ProtocolError or the module's own error. */
  load(location: string, hash: string, exportName: string): Promise<AnyFunction>;
}
