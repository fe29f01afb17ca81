/**
 * Running 64-bit fingerprint of a run: two 32-bit multiply-xor lanes (FNV-1a and a second odd multiplier), the second fed by the first.
 * Tells apart two runs that differ; no defence against somebody who wants a collision.
 */
export class Digest {
  #low = 0x811c9dc5 | 0;
  #high = 0x9747b28c | 0;

  text(text: string): void {
    for (let at = 0; at < text.length; at++) this.#mix(text.charCodeAt(at));
    this.#mix(-1);
  }

  bytes(bytes: Uint8Array): void {
    for (const byte of bytes) this.#mix(byte);
    this.#mix(-1);
  }

  /** 16 hex digits of all that was added so far. */
  hex(): string {
    return [this.#high, this.#low].map((lane) => (lane >>> 0).toString(16).padStart(8, "0")).join("");
  }

  #mix(unit: number): void {
    this.#low = Math.imul(this.#low ^ unit, 0x01000193);
    this.#high = Math.imul(this.#high ^ unit ^ (this.#low >>> 15), 0x85ebca6b);
  }
}
