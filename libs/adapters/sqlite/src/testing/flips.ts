import { cpSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Random } from "@heddle/kernel";

/** A bit of a file, to be flipped. */
interface Flip {
  readonly file: string;
  readonly bit: number;
}

/** Flips a bit in a file. */
export function flip(file: string, bit: number): void {
  const bytes = readFileSync(file);
  bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  writeFileSync(file, bytes);
}

/** Every file has its share, and the largest one the rest. */
function flipsIn(original: string, count: number, random: Random): Flip[] {
  const sizes = readdirSync(original).map((file) => ({ file, bits: 8 * statSync(join(original, file)).size }));
  const largest = sizes.reduce((one, other) => (one.bits >= other.bits ? one : other));
  return Array.from({ length: count }, (_, at) => {
    const { file, bits } = sizes[at % (2 * sizes.length)] ?? largest;
    return { file, bit: random.int(bits) };
  });
}

/** What becomes of copies of a directory in which one bit each is flipped. */
export interface FlipTrial {
  readonly original: string;
  /** A path for a copy, which is not there yet. */
  readonly fresh: () => string;
  readonly count: number;
  readonly random: Random;
  /** Opens and reads a copy: whether it was refused. Throws when it was neither refused nor read right. */
  readonly isRefused: (directory: string) => Promise<boolean>;
}

/** How many of the copies were refused; the others were read right. Throws at one that was not, with the bit. */
export async function refusedFlips({ original, fresh, count, random, isRefused }: FlipTrial): Promise<number> {
  const flips = flipsIn(original, count, random);
  let refusals = 0;
  const lane = async (): Promise<void> => {
    for (let next = flips.pop(); next !== undefined; next = flips.pop()) {
      const directory = fresh();
      cpSync(original, directory, { recursive: true });
      flip(join(directory, next.file), next.bit);
      try {
        if (await isRefused(directory)) refusals++;
      } catch (cause) {
        throw new Error(`bit ${next.bit} of ${next.file}`, { cause });
      }
      rmSync(directory, { recursive: true });
    }
  };
  await Promise.all(Array.from({ length: 4 }, lane));
  return refusals;
}
