import type { Fabric } from "@heddle/client";

/**
 * A whole fabric under test, with the power to hurt it. One behaviour suite runs on every kind:
 * - `simulated`: real shells over a simulated network and simulated worker processes, in virtual time drawn from a seed;
 * - `embedded`: coordinator and agent inside this process, real workers;
 * - `processes`: everything in real processes over real sockets.
 * Tests wait for promises through `drive` and never for time, so that virtual time can pass while they wait.
 */
export interface Cluster extends AsyncDisposable {
  readonly kind: "simulated" | "embedded" | "processes";
  /** Functions to run on it, made for this kind. */
  readonly tasks: Tasks;
  /** Names of the nodes; `killAgent(i)` and the like take an index into them. */
  readonly nodes: readonly string[];
  /** Slots of all nodes together. */
  readonly slots: number;
  /** Agents, coordinator and clients are apart from each other and can be hurt one by one. False: only `killWorker` works, the others throw. */
  readonly isDistributed: boolean;
  /** Lines that user functions printed, as the clients were shown them, in order of arrival. */
  readonly printed: readonly { readonly stderr: boolean; readonly line: string }[];

  /** The connected client, made at first use; after `vanishClient` a new one. */
  fabric(): Promise<Fabric>;
  /** Waits for a promise of the fabric's and settles likewise. Rejects with what is pending when it does not settle within bounded (virtual) time. */
  drive<T>(promise: PromiseLike<T>): Promise<T>;

  /** Kills (-9) a worker process that is running user code, once there is one. Resolves to its pid. */
  killWorker(): Promise<number>;
  /** Kills (-9) an agent. Its workers go with it. It stays away until `startAgent`. */
  killAgent(index: number): void;
  /** Starts a killed agent again, under the same name. */
  startAgent(index: number): void;
  /** Stops an agent's clock, as SIGSTOP: it keeps its connections and says nothing. */
  pauseAgent(index: number): void;
  resumeAgent(index: number): void;
  /** Asks an agent to finish what runs and leave. Resolves when it is gone. */
  drainAgent(index: number): Promise<void>;
  /** The client's process dies without a word. What it awaited never settles. */
  vanishClient(): void;
  /** Stops the coordinator politely. Resolves when it is gone. */
  stopCoordinator(): Promise<void>;
  /** Resolves when no job is open and no worker is running user code. */
  settled(): Promise<void>;
}

/** Functions that behaviour tests run. Those that take parameters give a new function for them. */
export interface Tasks {
  readonly square: (n: number) => number;
  readonly add: (a: number, b: number) => number;
  readonly echo: (value: unknown) => unknown;
  /** Squares, but throws RangeError(`no ${bad}`) for this one. */
  readonly failAt: (bad: number) => (n: number) => number;
  /** Squares after so long. */
  readonly slowSquare: (ms: number) => (n: number) => number | Promise<number>;
  /** An endless loop. */
  readonly never: (n: number) => Promise<never>;
  /** Squares, but kills its own process by SIGKILL for this one, each time. */
  readonly crashOn: (bad: number) => (n: number) => number;
  /** Squares, but kills its own process by SIGKILL the first time that it sees this one. */
  readonly crashOnceOn: (bad: number) => (n: number) => number;
  /** Squares, but throws Error("not yet") the first `times` times that it sees this one. */
  readonly failTimes: (bad: number, times: number) => (n: number) => number;
  /** Squares, but exits with this status for this one, each time. */
  readonly exitOn: (bad: number, exitCode: number) => (n: number) => number;
  /** So many bytes, each the index modulo 251. */
  readonly bigResult: (bytes: number) => Uint8Array;
  /** Writes `${n}` as a line to standard output, then squares. */
  readonly printLine: (n: number) => number;
  /** Process id of the worker, after so long that no other worker is idle meanwhile. */
  readonly pidOf: (n: number) => number | Promise<number>;
}
