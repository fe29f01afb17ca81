/** A source of uniform numbers. Inject one per concern, so that a new draw in one does not shift the others. */
export interface Random {
  /** Uniform in [0, 1). */
  readonly float: () => number;
  /** Uniform integer in [0, bound), for 1 <= bound <= 2^32. */
  readonly int: (bound: number) => number;
}

/**
 * Seeded generator: sfc32 (Chris Doty-Humphrey, PractRand) seeded by splitmix32. Same seed and stream name, same numbers, on every platform.
 */
export function seededRandom(seed: number, stream = ""): Random {
  let mix = hash32(stream) ^ (seed | 0) ^ (Math.floor(seed / 0x1_0000_0000) | 0);
  const splitmix32 = (): number => {
    mix = (mix + 0x9e3779b9) | 0;
    let z = mix ^ (mix >>> 16);
    z = Math.imul(z, 0x21f0aaad);
    z ^= z >>> 15;
    z = Math.imul(z, 0x735a2d97);
    return z ^ (z >>> 15);
  };
  let [a, b, c, counter] = [splitmix32(), splitmix32(), splitmix32(), 1];
  const next = (): number => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + sum) | 0;
    return sum >>> 0;
  };
  for (let warmup = 0; warmup < 12; warmup++) next();
  return {
    float: () => next() / 0x1_0000_0000,
    int: (bound) => Math.floor((next() / 0x1_0000_0000) * bound),
  };
}

/** FNV-1a over UTF-16 code units: spreads names, no more. */
export function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash | 0;
}
