import type { Logger } from "@heddle/kernel";
import type { AnyFunction } from "@heddle/port-shipper";
import type { ItemCounts } from "./async-result.ts";
import type { MapOptions } from "./call-options.ts";
import type { PoolHost, StatusLine } from "./pool-calls.ts";
import { type ProgressListener, ProgressMeter, progressLine } from "./progress.ts";

/** Calls what the user gave. What it throws, or its promise rejects with, is logged: it must not cost anybody a result. */
export function callBack(log: Logger, what: string, run: () => unknown): void {
  const threw = (cause: unknown): void => log.error(`${what} threw`, { cause: String(cause) });
  try {
    const returned = run();
    if (returned instanceof Promise) returned.catch(threw);
  } catch (error) {
    threw(error);
  }
}

/** Of a call: whoever is told of its progress, the user's function or the terminal; undefined for nobody. */
export function progressMeter(
  { env, statusLine }: PoolHost,
  { progress, name }: MapOptions,
  fn: unknown,
  counts: () => ItemCounts,
): ProgressMeter | undefined {
  if (typeof progress === "function") {
    const changed: ProgressListener["changed"] = (now) => callBack(env.log, "progress", () => progress(now));
    return new ProgressMeter(env.clock, counts, { changed, over: () => undefined });
  }
  if (progress !== true || statusLine === undefined) return undefined;
  return new ProgressMeter(env.clock, counts, bar(statusLine, name ?? ((fn as AnyFunction).name || "map")));
}

function bar(statusLine: StatusLine, name: string): ProgressListener {
  return {
    begun: (now) => statusLine.show(progressLine(name, now)),
    changed: (now) => statusLine.show(progressLine(name, now)),
    over: (now) => statusLine.end(progressLine(name, now)),
  };
}
