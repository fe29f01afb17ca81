/** Strings out of bytes. */

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
/** Shorter strings are looked at byte by byte first: most are ASCII. */
const SHORT_BYTES = 32;

/** The UTF-8 in bytes[from] up to bytes[to - 1]. Throws TypeError for what is none. */
export function text(bytes: Buffer, from: number, to: number): string {
  if (to - from > SHORT_BYTES) return utf8.decode(bytes.subarray(from, to));
  for (let at = from; at < to; at++) {
    if ((bytes[at] ?? 0) >= 0x80) return utf8.decode(bytes.subarray(from, to));
  }
  return bytes.toString("latin1", from, to);
}

/**
 * Field names repeat: those seen lately are found again without being built. Only a memory of strings by their bytes,
 * bounded by its slots; what is in it changes nothing but speed.
 */
const KEY_SLOTS = 1024;
const lately: string[] = new Array<string>(KEY_SLOTS).fill("");

/** Like `text`, for field names of at most 31 bytes. */
export function keyText(bytes: Buffer, from: number, to: number): string {
  const length = to - from;
  let hash = length;
  for (let at = from; at < to; at++) hash = (Math.imul(hash, 31) + (bytes[at] ?? 0)) | 0;
  const slot = hash & (KEY_SLOTS - 1);
  const candidate = lately[slot] ?? "";
  if (candidate.length === length && matches(candidate, bytes, from)) return candidate;
  const key = text(bytes, from, to);
  lately[slot] = key;
  return key;
}

/** Whether the string is these bytes, character by character: true for ASCII only. */
function matches(candidate: string, bytes: Buffer, from: number): boolean {
  for (let index = 0; index < candidate.length; index++) {
    const unit = candidate.charCodeAt(index);
    if (unit !== bytes[from + index] || unit >= 0x80) return false;
  }
  return true;
}
