import type { Objects, SnapshotPiece } from "@heddle/core-objects";
import type { Environment, Millis } from "@heddle/kernel";
import { type Journal, JournalFullError } from "@heddle/port-journal";
import { SNAPSHOT_BYTES_MIN, SNAPSHOT_SLICE_MS } from "./limits.ts";
import { writePieces } from "./snapshots.ts";

/** How snapshots are kept. */
export interface SnapshotKeeperOptions {
  readonly env: Environment;
  readonly journal: Journal;
  /** Nobody knows what the journal keeps. */
  readonly failed: (error: unknown) => void;
}

/** A state as of a position, in pieces that do not change any more. */
interface Taken {
  readonly position: number;
  readonly pieces: readonly SnapshotPiece[];
}

/**
 * Takes snapshots when the journal has grown by as much as the last one was large, so that starting never takes much longer than reading the
 * state. Taking one holds everything up for as long as it takes to go through the state, which copies nothing; it is encoded in slices, and saved while
 * the journal goes on.
 */
export class SnapshotKeeper {
  readonly #options: SnapshotKeeperOptions;
  /** The one that is taken, encoded or saved: one at a time. */
  #current: Taken | undefined;
  /** No snapshot while there are no more bytes than this behind the last one. */
  #pauseBytes = SNAPSHOT_BYTES_MIN;
  /** When the newest one was saved. */
  #savedMs: Millis;

  constructor(options: SnapshotKeeperOptions) {
    this.#options = options;
    this.#savedMs = options.env.clock.nowMs();
  }

  /** How long ago the newest one was saved; while this process has saved none, how long it has been here. */
  get ageMs(): Millis {
    return this.#options.env.clock.nowMs() - this.#savedMs;
  }

  /** The state began with a snapshot of so many bytes; 0 for none. */
  began(bytes: number): void {
    this.#pauseBytes = Math.max(SNAPSHOT_BYTES_MIN, bytes);
  }

  /** Takes one, when it is time: of the state that the journal will have at `position`, and has at no other moment. */
  take(core: Objects, position: number): void {
    const { env, journal } = this.#options;
    if (this.#current !== undefined || journal.bytesSinceSnapshot <= this.#pauseBytes) return;
    const startedMs = env.clock.nowMs();
    this.#current = { position, pieces: [...core.snapshot()] };
    env.log.debug("snapshot taken", { position, tookMs: Math.round(env.clock.nowMs() - startedMs) });
  }

  /** The journal is on disk up to `position`: a snapshot of that may be kept. */
  durable(position: number): void {
    if (this.#current?.position === position) void this.#keep(this.#current);
  }

  /** Forgets what is not with the journal yet. */
  drop(): void {
    this.#current = undefined;
  }

  async #keep(taken: Taken): Promise<void> {
    const { env, journal, failed } = this.#options;
    const { position } = taken;
    const startedMs = env.clock.nowMs();
    const pieces = await this.#encode(taken);
    if (pieces === undefined) return;
    const bytes = pieces.reduce((sum, { byteLength }) => sum + byteLength, 0);
    try {
      await journal.saveSnapshot(position, pieces);
      this.began(bytes);
      this.#savedMs = env.clock.nowMs();
      env.log.info("snapshot saved", { position, bytes, tookMs: Math.round(env.clock.nowMs() - startedMs) });
    } catch (error) {
      if (!(error instanceof JournalFullError)) return failed(error);
      env.log.warn("no room for a snapshot: the journal grows on", { position, bytes, message: error.message });
      this.#pauseBytes = journal.bytesSinceSnapshot + Math.max(SNAPSHOT_BYTES_MIN, bytes);
    }
    if (this.#current === taken) this.#current = undefined;
  }

  /** Everything else has a turn now and then. Undefined: it was dropped meanwhile. */
  async #encode(taken: Taken): Promise<readonly Uint8Array[] | undefined> {
    const { clock } = this.#options.env;
    const pieces: Uint8Array[] = [];
    let startedMs = clock.nowMs();
    for (const piece of writePieces(taken.pieces)) {
      pieces.push(piece);
      if (clock.nowMs() - startedMs < SNAPSHOT_SLICE_MS) continue;
      await new Promise<void>((resolve) => clock.setTimer(clock.nowMs(), resolve));
      startedMs = clock.nowMs();
      if (this.#current !== taken) return undefined;
    }
    return pieces;
  }
}
