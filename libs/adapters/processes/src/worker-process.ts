/**
 * What a worker process is made of besides the code that runs chunks. Imported by workers only, so it brings in little.
 */
import { flushCompileCache } from "node:module";
import { inspect } from "node:util";
import type { AsyncScope } from "@heddle/kernel";
import { openScope } from "./async-scope.ts";
import { openMarks, openWorkerLink, type WorkerLink } from "./worker-link.ts";

/** Compiled code is written down once the worker has had time to load what it needs, for the next worker's sake. */
const COMPILE_CACHE_FLUSH_MS = 250;
/** What a task that heeds its signal has before its process ends: less than the agent's patience before SIGKILL. */
const STOP_PAUSE_MS = 500;
const LINE_END = 0x0a;

/** This process as a worker. */
export interface WorkerProcessParts {
  /** The conversation with the agent. */
  readonly link: WorkerLink;
  /** Writes "I am about to run this item" where the agent finds it whatever happens, in the place of the slot's last mark. */
  readonly mark: (assignment: number, offset: number, slot: number) => void;
  /** Takes the mark of a slot back. */
  readonly unmark: (slot: number) => void;
  readonly pid: number;
  /** Of the process that started this one. */
  readonly agentPid: number;
  /** How this process ends by its own decision. */
  readonly ending: {
    /** Writes an error that nobody has caught to standard error. */
    readonly complain: (error: unknown) => void;
    /** Ends it with this status, else with the one that was set, or 0. */
    readonly exit: (exitCode?: number) => void;
  };
  readonly nodeVersion: string;
  /** Whether something was written to standard output or error since it was last asked. Ends lines that were left open. */
  readonly wroteOutput: () => boolean;
  /** Lets the event loop look at everything once. */
  readonly turn: () => Promise<void>;
  /** Aborts when the agent tells this process to end. */
  readonly stopSignal: () => AbortSignal;
  /** Aborts it before that, as the agent says so. */
  readonly noticeStop: (reason: string) => void;
  /** Resident set of this process now, in bytes. */
  readonly rssBytes: () => number;
  /** A place for values that follow what they were set for through promises and timers. */
  readonly openScope: <T>() => AsyncScope<T>;
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
    ...openMarks(),
    pid: process.pid,
    agentPid: process.ppid,
    ending: {
      complain: (error) => void process.stderr.write(`${wordsOf(error)}\n`),
      exit: (exitCode) => process.exit(exitCode ?? process.exitCode),
    },
    nodeVersion: process.version,
    wroteOutput: watchOutput(),
    turn: () => new Promise((resolve) => setImmediate(resolve)),
    ...watchStop(),
    rssBytes: () => process.memoryUsage.rss(),
    openScope,
  };
}

/** As Node shows an error that nobody has caught: with its stack, causes and fields. */
function wordsOf(error: unknown): string {
  if (typeof error === "string") return error;
  try {
    return inspect(error);
  } catch {
    return "something was thrown that cannot be described"; // its own getters failed
  }
}

/**
 * A signal that aborts when the agent tells this process to end, which it then does STOP_PAUSE_MS later, or before, with notice. Made when it is first asked
 * for: without it the process ends at once.
 */
function watchStop(): Pick<WorkerProcessParts, "stopSignal" | "noticeStop"> {
  let controller: AbortController | undefined;
  let notice: DOMException | undefined;
  const stopSignal = (): AbortSignal => {
    if (controller !== undefined) return controller.signal;
    const made = new AbortController();
    controller = made;
    process.once("SIGTERM", () => {
      made.abort(new DOMException("the task is being stopped", "AbortError"));
      setTimeout(() => process.kill(process.pid, "SIGTERM"), STOP_PAUSE_MS);
    });
    if (notice !== undefined) made.abort(notice);
    return made.signal;
  };
  const noticeStop = (reason: string): void => {
    notice = new DOMException(reason, "AbortError");
    controller?.abort(notice);
  };
  return { stopSignal, noticeStop };
}

/** What was written to a stream since it was last asked. */
interface Written {
  any: boolean;
  /** The last byte was no line end. */
  isLineOpen: boolean;
  readonly endLine: () => void;
}

/**
 * Tells whether user code wrote anything, and ends the lines that it left open: only here is it known which chunk wrote what. The
 * streams are made when they are first used: most workers never print.
 */
function watchOutput(): () => boolean {
  const used: Written[] = [];
  for (const name of ["stdout", "stderr"] as const) {
    const make = Object.getOwnPropertyDescriptor(process, name)?.get;
    let stream: NodeJS.WriteStream | undefined;
    const open = (): NodeJS.WriteStream => {
      if (stream === undefined) {
        stream = make?.call(process) as NodeJS.WriteStream;
        used.push(watched(stream));
      }
      return stream;
    };
    Object.defineProperty(process, name, { configurable: true, enumerable: true, get: open });
  }
  return () => {
    let wrote = false;
    for (const written of used) {
      wrote ||= written.any;
      if (written.isLineOpen) written.endLine();
      written.any = false;
      written.isLineOpen = false;
    }
    return wrote;
  };
}

/**
 * Takes note of each write. Writes are made to wait until the pipe has taken them: only so is output in the pipe before the
 * result that follows it, not lost when the process dies, and bounded when nobody reads.
 */
function watched(stream: NodeJS.WriteStream): Written {
  const { _handle: handle } = stream as unknown as { readonly _handle?: { setBlocking?: (on: boolean) => void } };
  handle?.setBlocking?.(true);
  const write = stream.write;
  const endLine = (): void => {
    if (stream.writable) Reflect.apply(write, stream, ["\n"]); // user code may have ended the stream
  };
  const written: Written = { any: false, isLineOpen: false, endLine };
  stream.write = ((...args: Parameters<typeof write>) => {
    const [chunk, encoding] = args;
    written.any = true;
    const hasRoom = Reflect.apply(write, stream, args); // throws for what is neither text nor bytes
    if (chunk.length > 0) written.isLineOpen = !endsLine(chunk, encoding);
    return hasRoom;
  }) as typeof write;
  return written;
}

function endsLine(chunk: string | Uint8Array, encoding: unknown): boolean {
  if (typeof chunk !== "string") return chunk.at(-1) === LINE_END;
  if (typeof encoding !== "string") return chunk.endsWith("\n");
  return Buffer.from(chunk, encoding as BufferEncoding).at(-1) === LINE_END;
}
