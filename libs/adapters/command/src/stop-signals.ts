import { constants } from "node:os";

/** What asks a process to stop: a supervisor, Ctrl-C, a terminal that closes. */
const stopSignals = ["SIGTERM", "SIGINT", "SIGHUP"] as const;
export type StopSignal = (typeof stopSignals)[number];

/** The same signal again within this time is the same wish: npm and npx pass on a Ctrl-C that the terminal delivered already. */
const REPEAT_MS = 200;

/** Calls `first` at the first request to stop and `again` at every later one. Disposing gives the signals back their usual meaning. */
export function onStopSignals(on: {
  readonly first: (signal: StopSignal) => void;
  readonly again: (signal: StopSignal) => void;
}): Disposable {
  let last: { readonly signal: StopSignal; readonly atMs: number } | undefined;
  const heard = (signal: StopSignal): void => {
    const atMs = performance.now();
    if (last === undefined) on.first(signal);
    else if (last.signal === signal && atMs - last.atMs < REPEAT_MS) return;
    else on.again(signal);
    last = { signal, atMs };
  };
  for (const signal of stopSignals) process.on(signal, heard);
  return {
    [Symbol.dispose]: () => {
      for (const signal of stopSignals) process.removeListener(signal, heard);
    },
  };
}

/** The exit code of a process that a signal ended, as shells count. */
export function signalExitCode(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}
