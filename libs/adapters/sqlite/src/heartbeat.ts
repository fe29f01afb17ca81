/** How the owner of a batch job's storage shows that it lives, and stops when another has taken its place. Loads nothing but Node and what lies beside it. */
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from "node:fs";
import { beatFile, ownerOf } from "./owner.ts";

/** Beats in a lease: some may come late. */
const BEATS_PER_LEASE = 5;

/** The last beat of an owner as it is on disk; undefined when it has none. */
export function readBeat(directory: string, nonce: string): string | undefined {
  try {
    return readFileSync(beatFile(directory, nonce), "latin1");
  } catch {
    return undefined;
  }
}

/** Of the thread that writes for an owner; and of the one that started it, until it has opened the database. */
export class Heartbeat implements Disposable {
  readonly #directory: string;
  readonly #nonce: string;
  readonly #beatMs: number;
  readonly #file: number;
  #beats = 0;
  #nextAtMs = 0;

  constructor(directory: string, nonce: string, leaseMs: number) {
    this.#directory = directory;
    this.#nonce = nonce;
    this.#beatMs = leaseMs / BEATS_PER_LEASE;
    this.#file = openSync(beatFile(directory, nonce), "w", 0o600);
    this.beatIfDue();
  }

  /** Milliseconds until the next beat is due. */
  get dueInMs(): number {
    return Math.max(0, this.#nextAtMs - performance.now());
  }

  /** Throws what the file system does, as `check`. */
  beatIfDue(): void {
    if (this.dueInMs > 0) return;
    this.check();
    this.#nextAtMs = performance.now() + this.#beatMs;
    this.#beats++;
    writeSync(this.#file, String(this.#beats).padStart(16, "0"), 0);
    fsyncSync(this.#file); // others read it on other machines
  }

  /**
   * Ends this process at once, with nothing written any more, when the directory is another owner's: before each write, for this process may have stood still since the last one.
   * Whatever is less than that closes the database in order, into what is another's. Throws when it cannot be known whose it is: that is no other owner.
   */
  check(): void {
    const owner = ownerOf(this.#directory);
    if (owner?.nonce === this.#nonce) return;
    const who =
      owner === undefined
        ? "somebody"
        : `process ${owner.pid} on ${owner.host}, run ${owner.batch?.run} of job ${owner.batch?.job},`;
    writeSync(2, `${who} has taken over ${this.#directory}, because this process was not heard of: it ends here\n`);
    process.kill(process.pid, "SIGKILL");
  }

  [Symbol.dispose](): void {
    closeSync(this.#file);
  }
}
