import { mkdtempSync, rmSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { basename, join } from "node:path";

/** What this process can say of itself. */
export interface HostFacts {
  readonly pid: number;
  /** Name of the machine. */
  readonly host: string;
  /** File name of the script that runs. */
  readonly program: string;
  /** Major version of Node.js. */
  readonly nodeMajor: number;
}

/** Reads them. */
export function hostFacts(): HostFacts {
  const program = basename(process.argv[1] ?? "node");
  return { pid: process.pid, host: hostname(), program, nodeMajor: Number(process.versions.node.split(".")[0]) };
}

/** A variable of the environment; undefined when unset or empty. */
export function environmentVariable(name: string): string | undefined {
  const value = process.env[name];
  return value === "" ? undefined : value;
}

/** Keeps the process alive while at least one hold is not disposed: everything else of ours lets it go. */
export function processHolds(): () => Disposable {
  let count = 0;
  let timer: NodeJS.Timeout | undefined;
  return () => {
    let held = true;
    if (count++ === 0) timer = timer?.ref() ?? setInterval(() => undefined, 0x7fff_ffff);
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        if (--count === 0) timer?.unref(); // and not cleared: operations one at a time come here each time
      },
    };
  };
}

/** A new directory that only this user can enter; disposing removes it, and so does the end of the process, by a signal too. */
export function temporaryDirectory(prefix: string): { readonly path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), prefix));
  const remove = (): void => rmSync(path, { recursive: true, force: true });
  process.once("exit", remove);
  const ending = onEndingSignal(() => Promise.resolve(remove()));
  return {
    path,
    [Symbol.dispose]: () => {
      process.removeListener("exit", remove);
      ending[Symbol.dispose]();
      remove();
    },
  };
}

/**
 * Calls `leave` when the script is at its end, and when a signal ends the process. A script that is at its end ends when `leave` has,
 * and `leave` is called again if it went on until then. See `onEndingSignal` for signals.
 */
export function onProcessEnd(leave: () => Promise<void>): Disposable {
  const left = (): void => void leave().catch(() => undefined); // nobody is left to be told
  process.on("beforeExit", left);
  const ending = onEndingSignal(leave);
  return {
    [Symbol.dispose]: () => {
      process.removeListener("beforeExit", left);
      ending[Symbol.dispose]();
    },
  };
}

/**
 * Calls `leave` when a signal is about to end the process. The signal then takes its usual course, after a second at the latest, and at
 * once when another one comes. Where the script listens for the signal itself nothing happens: what it means is the script's decision.
 */
function onEndingSignal(leave: () => Promise<void>): Disposable {
  if (leaving.size === 0) for (const signal of endingSignals) process.prependListener(signal, ending);
  const own = (): Promise<void> => leave();
  leaving.add(own);
  return {
    [Symbol.dispose]: () => {
      if (leaving.delete(own) && leaving.size === 0) restoreSignals();
    },
  };
}

const endingSignals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
/** Longest wait for those who leave when a signal came. Then the process ends without their word. */
const LEAVE_MS = 1_000;
/** The same signal again within this time is the same wish: npm and npx pass on a Ctrl-C that the terminal delivered already. */
const REPEAT_MS = 200;
/** Signals belong to the process, and so do those who leave with it: listeners are installed while there is one. */
const leaving = new Set<() => Promise<void>>();
/** The signal that ends the process, and when it came. */
const came = new Map<NodeJS.Signals, number>();
/** Marks our listeners, also those of another copy of this module. */
const MARK = Symbol.for("heddle.ending-signal");

const ending = Object.assign(
  (signal: NodeJS.Signals): void => {
    if (process.listeners(signal).some((listener) => !(MARK in listener))) return stepAside(signal);
    const nowMs = performance.now();
    if (came.size > 0) {
      if (nowMs - (came.get(signal) ?? Number.NEGATIVE_INFINITY) >= REPEAT_MS) raise(signal);
      return;
    }
    came.set(signal, nowMs);
    setTimeout(() => raise(signal), LEAVE_MS);
    void Promise.allSettled([...leaving].map((leave) => leave())).then(() => raise(signal));
  },
  { [MARK]: true },
);

/** Out of the sight of those who end the process only when nobody else listens, as the signal-exit package does. */
function stepAside(signal: NodeJS.Signals): void {
  process.removeListener(signal, ending);
  process.nextTick(() => {
    if (leaving.size > 0) process.prependListener(signal, ending);
  });
}

function raise(signal: NodeJS.Signals): void {
  restoreSignals();
  process.kill(process.pid, signal);
}

function restoreSignals(): void {
  for (const signal of endingSignals) process.removeListener(signal, ending);
}
