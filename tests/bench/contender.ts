import type { OperationId } from "./rows.ts";

/** One way of doing one operation. */
export interface Operation {
  /** The call as a user writes it, for the output. */
  readonly how: string;
  /** Makes the inputs, outside of the measured time. */
  readonly prepare?: (count: number) => void | Promise<void>;
  /** Resolves to what `checkResult` wants to see, unless `outcome` does. `at`: which call it is, from 0, where single calls are measured. */
  readonly run: (count: number, at: number) => unknown;
  /** Reads what `checkResult` wants to see, outside of the measured time: after each run of `count`, or after all calls. */
  readonly outcome?: (count: number) => unknown;
}

/** Somebody who does some operations, ready to be measured. Disposed afterwards; nothing of it may be left then. */
export interface Contender extends AsyncDisposable {
  readonly operations: Readonly<Partial<Record<OperationId, Operation>>>;
}

/** What a contender's process says at its end, as one line of JSON. */
export interface Report {
  /** Seconds: one lap for each run, but one for each call where single calls are measured. */
  readonly laps: Readonly<Partial<Record<OperationId, readonly number[]>>>;
  readonly hows: Readonly<Partial<Record<OperationId, string>>>;
  /** Why there are no laps. */
  readonly failures: Readonly<Partial<Record<OperationId, string>>>;
  /** What was measured otherwise. */
  readonly figures?: Readonly<Record<string, number>>;
}
