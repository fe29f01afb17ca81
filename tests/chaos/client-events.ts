/** What one client of a run is told at its start. */
export interface ClientSettings {
  /** Also of its counters; "client-2.1" after its first restart. */
  readonly name: string;
  readonly address: string;
  readonly tlsDirectory: string;
  readonly seed: number;
  /** Of its session with the manager. */
  readonly ttlMs: number;
  readonly unavailableTimeoutMs: number;
  /** Longest pause between two things that one lane does. */
  readonly pauseMsMax: number;
}

/** What is known of the writes of one job that count once, by the key of its sum. */
export type OnceState = { readonly key: string } & (
  | { readonly state: "asked" }
  /** Items whose writes must be there, and those of which nobody knows. */
  | { readonly state: "answered"; readonly done: readonly number[]; readonly unknown: readonly number[] }
  /** They are, and may be gone by now. */
  | { readonly state: "checked" }
);

/** What a client has done in one life, in numbers. */
export interface Tally {
  readonly jobs: number;
  readonly items: number;
  /** Second attempts of stragglers that answered. */
  readonly overtaken: number;
}

/** What it tells. Times are of the machine's monotonic clock, in milliseconds. */
export type ClientEvent =
  | { readonly type: "ready" }
  /** A call was refused by an error, which the faults of that time must explain. */
  | {
      readonly type: "failed";
      readonly lane: string;
      readonly name: string;
      readonly message: string;
      readonly fromMs: number;
      readonly untilMs: number;
    }
  /** What nothing explains: a wrong result. */
  | { readonly type: "wrong"; readonly lane: string; readonly message: string }
  /** Of a counter: increments that were acknowledged, and those of which nobody knows. */
  | { readonly type: "counted"; readonly key: string; readonly acknowledged: number; readonly unknown: number }
  | ({ readonly type: "once" } & OnceState)
  /** What it has done since it started, by lane, and for how long the oldest call has been under way. */
  | {
      readonly type: "progress";
      readonly done: Readonly<Record<string, number>>;
      readonly tally: Tally;
      readonly oldest: { readonly lane: string; readonly ageMs: number } | undefined;
    };

/** Names of shared objects that all clients have in common. */
export const shared = {
  counts: "chaos counts",
  runs: "chaos runs",
  lock: "chaos lock",
  log: "chaos log",
  once: "chaos once",
} as const;

/** An entry of the log that is written under the lock: by which hold, whose, what. */
export type LogEntry = readonly [token: bigint, client: string, what: "enter" | "leave" | "clear"];

/** The machine's monotonic clock, which all its processes share. */
export function machineMs(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000;
}
