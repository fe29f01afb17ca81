import { type Caller, callerText } from "@heddle/port-rpc";

/** What one identity has of the space for kept jobs. Whoever runs as the coordinator's user may have all of it: that user could end the coordinator as well. */
export class KeptShare {
  readonly caller: Caller;
  /** How much it may be. */
  readonly bytesMax: number;
  readonly #makeRoom: (share: KeptShare) => Promise<void> | undefined;
  #bytes = 0;

  constructor(caller: Caller, bytesMax: number, makeRoom: (share: KeptShare) => Promise<void> | undefined) {
    this.caller = caller;
    this.bytesMax = caller.role === undefined ? Number.POSITIVE_INFINITY : bytesMax;
    this.#makeRoom = makeRoom;
  }

  /** Bytes of its jobs once what comes and what is under way is on disk, without those that go. */
  get bytes(): number {
    return this.#bytes;
  }

  /** So many more, fewer when below 0. */
  changed(bytes: number): void {
    this.#bytes += bytes;
  }

  /** Whether so many bytes more may be kept. Ended jobs of its own go for them, the one that has ended longest ago first. */
  hasRoom(bytes: number): boolean {
    while (this.#bytes + bytes > this.bytesMax) if (this.#makeRoom(this) === undefined) return false;
    return true;
  }
}

/** The shares of all identities that have kept jobs, or had: as many as there are certificates at most. */
export class KeptShares {
  readonly #bytesMax: number;
  readonly #makeRoom: (share: KeptShare) => Promise<void> | undefined;
  readonly #shares = new Map<string, KeptShare>();

  /** `bytesMax`: of one identity. `makeRoom`: drops the ended job of a share that may go first, and says when it is gone; undefined when there is none. */
  constructor(bytesMax: number, makeRoom: (share: KeptShare) => Promise<void> | undefined) {
    this.#bytesMax = bytesMax;
    this.#makeRoom = makeRoom;
  }

  of(caller: Caller): KeptShare {
    const who = callerText(caller);
    const share = this.#shares.get(who) ?? new KeptShare(caller, this.#bytesMax, this.#makeRoom);
    this.#shares.set(who, share);
    return share;
  }
}
