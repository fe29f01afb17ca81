import { createHmac, timingSafeEqual } from "node:crypto";
import { PROOF_VALID_MS, PROOFS_REMEMBERED } from "./limits.ts";

/** Metadata by which both sides of a connection in clear prove that they know the token, without saying it. */
export const PROOF_KEY = "heddle-proof";
/** Random bytes that make a proof like no other. */
export const PROOF_NONCE_BYTES = 16;

/** `1.<unix ms>.<nonce>.<HMAC>`, the last two base64url. */
const SHAPE = /^1\.(\d{1,15})\.([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{43})$/;
const LENGTH_MAX = 2 + 15 + 1 + 22 + 1 + 43;

/** A client's proof for one call of `path`; `nowMs` is Unix time, `nonce` PROOF_NONCE_BYTES random bytes, never the same twice. */
export function makeProof(token: string, path: string, nowMs: number, nonce: Uint8Array): string {
  const ms = String(Math.floor(nowMs));
  const text = Buffer.from(nonce).toString("base64url");
  return `1.${ms}.${text}.${sign(token, "client", path, ms, text)}`;
}

/** Whether `answer`, of the first metadata that came back, shows that the server knows the token: it must fit the proof that was sent. */
export function checkServerProof(token: string, path: string, sent: string, answer: string | undefined): boolean {
  const [, ms, nonce] = SHAPE.exec(sent) ?? [];
  if (ms === undefined || nonce === undefined || answer === undefined) return false;
  return isSame(answer, serverProof(token, path, ms, nonce));
}

/** What came of a proof: what to answer with, or why it is refused, for the log alone. */
export type ProofCheck =
  | { readonly ok: true; readonly answer: string }
  /** `isEarly`: it is good but for having been made before the server began. */
  | { readonly ok: false; readonly why: string; readonly isEarly?: true };

/** What those who call a server must know. */
export interface ServerToken {
  readonly text: string;
  /**
   * Since when the server has had its address, in Unix time. Before, somebody else may have listened there and come by proofs, for the
   * token may be older than the server.
   */
  readonly sinceMs: number;
}

/** Checks the proofs that clients send to one server. Each is good once, for the path that it was made for, within PROOF_VALID_MS. */
export class ProofChecker {
  readonly #nowMs: () => number;
  /** Nonces of proofs that were good. A nonce is in one of them for as long as its proof's time is above `#forgottenMs`. */
  #young = new Generation();
  #old = new Generation();
  #startedMs: number;
  /** Time of the newest proof that is not remembered any more: those that are not newer may have been used. */
  #forgottenMs = Number.NEGATIVE_INFINITY;

  /** `nowMs` gives Unix time. */
  constructor({ nowMs }: { readonly nowMs: () => number }) {
    this.#nowMs = nowMs;
    this.#startedMs = nowMs();
  }

  /** Never throws, whatever `proof` is. */
  check({ text: token, sinceMs }: ServerToken, path: string, proof: string | undefined): ProofCheck {
    if (proof === undefined) return refused("no proof of the token");
    const [, ms, nonce, mac] = proof.length > LENGTH_MAX ? [] : (SHAPE.exec(proof) ?? []);
    if (ms === undefined || nonce === undefined || mac === undefined) return refused("a proof that is none");
    if (!isSame(mac, sign(token, "client", path, ms, nonce)))
      return refused("a proof of another token or for another method");
    const nowMs = this.#nowMs();
    const offMs = Number(ms) - nowMs;
    if (!(Math.abs(offMs) <= PROOF_VALID_MS)) return refused(`a proof whose time is off by ${Math.round(offMs)} ms`);
    // A clock that was put back since then would make all proofs early.
    if (Number(ms) < sinceMs && sinceMs <= nowMs) {
      return { ok: false, why: "a proof made before this server began", isEarly: true };
    }
    if (Number(ms) <= this.#forgottenMs) return refused("a proof older than what is remembered");
    if (this.#young.nonces.has(nonce) || this.#old.nonces.has(nonce)) return refused("a proof that was used before");
    this.#remember(nonce, Number(ms), nowMs);
    return { ok: true, answer: serverProof(token, path, ms, nonce) };
  }

  /** Proofs of which a second use would be known. For tests of the bound. */
  get rememberedCount(): number {
    return this.#young.nonces.size + this.#old.nonces.size;
  }

  #remember(nonce: string, ms: number, nowMs: number): void {
    if (this.#young.nonces.size >= PROOFS_REMEMBERED || Math.abs(nowMs - this.#startedMs) > 2 * PROOF_VALID_MS) {
      this.#forgottenMs = Math.max(this.#forgottenMs, this.#old.newestMs);
      this.#old = this.#young;
      this.#young = new Generation();
      this.#startedMs = nowMs;
    }
    this.#young.nonces.add(nonce);
    this.#young.newestMs = Math.max(this.#young.newestMs, ms);
  }
}

/** Proofs that are forgotten together. */
class Generation {
  readonly nonces = new Set<string>();
  /** Time of the newest proof in it. */
  newestMs = Number.NEGATIVE_INFINITY;
}

function refused(why: string): ProofCheck {
  return { ok: false, why };
}

function serverProof(token: string, path: string, ms: string, nonce: string): string {
  return `1.${sign(token, "server", path, ms, nonce)}`;
}

/** Each side signs its own name, so that neither's proof can be given back as the other's. */
function sign(token: string, side: "client" | "server", path: string, ms: string, nonce: string): string {
  return createHmac("sha256", token).update(`heddle ${side} 1\n${path}\n${ms}\n${nonce}`).digest("base64url");
}

/** Takes the same time wherever they differ. */
function isSame(given: string, right: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(right)];
  return a.length === b.length && timingSafeEqual(a, b);
}
