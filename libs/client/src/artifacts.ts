import { CLIENT_ARTIFACTS_MAX, LimitError } from "@heddle/kernel";
import type { Artifact } from "@heddle/port-shipper";
import type { RunRequestEntry } from "@heddle/wire";
import { IDLE_ARTIFACT_BYTES_MAX, IDLE_ARTIFACTS_MAX } from "./limits.ts";

interface Offer {
  readonly artifact: Artifact;
  /** Open jobs that use it. */
  users: number;
}

/** The code and captured values that one session has offered: kept while a job uses them, and a bounded number of others for the next one. */
export class OfferedArtifacts {
  readonly #send: (entry: RunRequestEntry) => void;
  /** By hash, the one used longest ago first. */
  readonly #offers = new Map<string, Offer>();
  /** Artifacts that no open job uses, and their bytes. */
  #idle = 0;
  #idleBytes = 0;

  /** `send`: in the control lane. */
  constructor(send: (entry: RunRequestEntry) => void) {
    this.#send = send;
  }

  /** The bytes, as long as they are offered. */
  get(hash: string): Uint8Array | undefined {
    return this.#offers.get(hash)?.artifact.bytes;
  }

  /** Artifacts that can be used beside those that open jobs use. */
  get room(): number {
    return CLIENT_ARTIFACTS_MAX - (this.#offers.size - this.#idle);
  }

  /** An open job uses it: it is offered unless it is already. Throws LimitError when open jobs use as many as may be offered. */
  use(artifact: Artifact): void {
    const { hash, bytes } = artifact;
    const known = this.#offers.get(hash);
    if (known === undefined) this.#makeRoom();
    this.#offers.delete(hash);
    if (known === undefined) {
      this.#offers.set(hash, { artifact, users: 1 });
      this.#send({ kind: { $case: "offerArtifact", value: { hash, size: bytes.byteLength } } });
      return;
    }
    if (known.users === 0) this.#countIdle(known, -1);
    known.users++;
    this.#offers.set(hash, known);
  }

  /** A job that used it is over. */
  release({ hash }: Artifact): void {
    const offer = this.#offers.get(hash);
    if (offer === undefined || --offer.users > 0) return;
    this.#countIdle(offer, 1);
    for (const [oldest, { users }] of this.#offers) {
      if (this.#idle <= IDLE_ARTIFACTS_MAX && this.#idleBytes <= IDLE_ARTIFACT_BYTES_MAX) return;
      if (users === 0) this.#withdraw(oldest);
    }
  }

  /** For one more: withdraws an idle one when there are as many as may be offered. */
  #makeRoom(): void {
    if (this.#offers.size < CLIENT_ARTIFACTS_MAX) return;
    for (const [oldest, { users }] of this.#offers) if (users === 0) return this.#withdraw(oldest);
    const words = `the functions of the calls under way are more than ${CLIENT_ARTIFACTS_MAX} artifacts of code and captured values: pass fewer functions, or plain data that one function is given`;
    throw new LimitError("CLIENT_ARTIFACTS_MAX", CLIENT_ARTIFACTS_MAX, this.#offers.size + 1, words);
  }

  #withdraw(hash: string): void {
    const offer = this.#offers.get(hash);
    if (offer === undefined) return;
    this.#countIdle(offer, -1);
    this.#offers.delete(hash);
    this.#send({ kind: { $case: "withdrawArtifact", value: { hash } } });
  }

  #countIdle({ artifact }: Offer, change: 1 | -1): void {
    this.#idle += change;
    this.#idleBytes += change * artifact.bytes.byteLength;
  }
}
