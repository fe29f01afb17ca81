import { randomFillSync } from "node:crypto";
import type { Random } from "@heddle/kernel";

/** Words drawn from the system at a time: a call to it costs as much as hundreds of words. */
const BATCH_WORDS = 256;

/** Numbers that nobody can guess: from the system's generator. */
export function systemRandom(): Random {
  const batch = new Uint32Array(BATCH_WORDS);
  let next = BATCH_WORDS;
  const word = (): number => {
    if (next === BATCH_WORDS) {
      randomFillSync(batch);
      next = 0;
    }
    const drawn = batch[next] ?? 0;
    batch[next++] = 0; // a word is used once and not kept
    return drawn;
  };
  return {
    float: () => (word() * 0x20_0000 + (word() >>> 11)) / 2 ** 53,
    int: (bound) => {
      const fair = 0x1_0000_0000 - (0x1_0000_0000 % bound); // words at or above it would favour small numbers
      let drawn = word();
      while (drawn >= fair) drawn = word();
      return drawn % bound;
    },
  };
}
