import type { Journal } from "@heddle/port-journal";

/** What appender.ts stores at a position: no two alike, of many lengths. */
export function recordAt(position: number): Uint8Array {
  return new TextEncoder().encode(`${position}${".".repeat((position * 7) % 61)}`);
}

/**
 * Reads what is kept and compares it with what `recordAt` and the snapshots of appender.ts say. Gives the position of the last; throws at
 * the first thing that is wrong.
 */
export async function checkRecords(journal: Journal): Promise<number> {
  let last = 0;
  for await (const one of journal.recover()) {
    if (one.type === "snapshot") {
      const text = one.pieces.map((piece) => new TextDecoder().decode(piece)).join();
      if (text !== String(one.position)) throw new Error(`the snapshot at ${one.position} says ${text}`);
    } else {
      if (one.position !== last + 1) throw new Error(`after ${last} comes ${one.position}`);
      if (!Buffer.from(recordAt(one.position)).equals(one.bytes)) throw new Error(`record ${one.position} is wrong`);
    }
    last = one.position;
  }
  if (journal.position !== last) throw new Error(`the journal is at ${journal.position}, its last record at ${last}`);
  return last;
}
