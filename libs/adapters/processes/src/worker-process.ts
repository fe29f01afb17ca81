/**
 * What a worker process is made of besides the code that runs chunks. Imported by workers only, so it brings in little.
 */
import { flushCompileCache } from "node:module";
import { openMarks, openWorkerLink, type WorkerLink } from "./worker-link.ts";

/** Compiled code is written down once the worker has had time to load what it needs, for the next worker's sake. */
const COMPILE_CACHE_FLUSH_MS = 250;

/** This process as a worker. */
export interface WorkerProcessParts {
  /** The conversation with the agent. */
  readonly link: WorkerLink;
  /** Writes "I am about to run this item" where the agent finds it whatever happens. */
  readonly mark: (assignment: number, offset: number) => void;
  readonly pid: number;
  readonly nodeVersion: string;
  /** Whether something was written to standard output or error since it was last asked. */
  readonly wroteOutput: () => boolean;
  /** Lets the event loop look at everything once. */
  readonly turn: () => Promise<void>;
}

/** Takes over what the spawner of this process left open. From now on it ends with its agent. Call it once. */
export function openWorkerProcess(): WorkerProcessParts {
  process.title = "heddle worker";
  const link = openWorkerLink();
  process.on("exit", () => link.flush()); // results of earlier chunks are not lost when a later one calls process.exit
  void link.ended.then(() => process.exit(0));
  setTimeout(() => flushCompileCache(), COMPILE_CACHE_FLUSH_MS).unref();
  return {
    link,
    mark: openMarks(),
    pid: process.pid,
    nodeVersion: process.version,
    wroteOutput: watchOutput(),
    turn: () => new Promise((resolve) => setImmediate(resolve)),
  };
}

/** Tells whether user code wrote anything. The streams are made when they are first used: most workers never print. */
function watchOutput(): () => boolean {
  let wrote = false;
  for (const name of ["stdout", "stderr"] as const) {
    const make = Object.getOwnPropertyDescriptor(process, name)?.get;
    let stream: NodeJS.WriteStream | undefined;
    const open = (): NodeJS.WriteStream => {
      stream ??= watched(make?.call(process) as NodeJS.WriteStream, () => {
        wrote = true;
      });
      return stream;
    };
    Object.defineProperty(process, name, { configurable: true, enumerable: true, get: open });
  }
  return () => {
    const before = wrote;
    wrote = false;
    return before;
  };
}

/**
 * Calls `wrote` at each write. Writes are made to wait until the pipe has taken them: only so is output in the pipe before the
 * result that follows it, not lost when the process dies, and bounded when nobody reads.
 */
function watched(stream: NodeJS.WriteStream, wrote: () => void): NodeJS.WriteStream {
  const { _handle: handle } = stream as unknown as { readonly _handle?: { setBlocking?: (on: boolean) => void } };
  handle?.setBlocking?.(true);
  const write = stream.write;
  stream.write = ((...args: Parameters<typeof write>) => {
    wrote();
    return Reflect.apply(write, stream, args);
  }) as typeof write;
  return stream;
}
