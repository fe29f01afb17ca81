/**
 * Running 64-bit fingerprint of a run: two 32-bit multiply-xor lanes (FNV-1a and a second odd multiplier), the second fed by the first.
 * Tells apart two runs that differ; no defence against somebody who wants a collision.
 */
export class Digest {
  #low = 0x811c9dc5 | 0;
  #high = 0x9747b28c | 0;

  text(text: string): void {
    // two at a time; of the last one alone the other is NaN, and 0 as bits
    for (let at = 0; at < text.length; at += 2) this.#mix(text.charCodeAt(at) | (text.charCodeAt(at + 1) << 16));
    this.#mix(text.length);
  }

  bytes(bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const wholeBytes = bytes.length & ~3;
    for (let at = 0; at < wholeBytes; at += 4) this.#mix(view.getInt32(at, true));
    for (let at = wholeBytes; at < bytes.length; at++) this.#mix(view.getUint8(at));
    this.#mix(bytes.length);
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
