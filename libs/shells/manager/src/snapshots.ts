import { Objects, type SnapshotPiece, type ValueCodec } from "@heddle/core-objects";
import { ProtocolError } from "@heddle/kernel";
import type { Journal } from "@heddle/port-journal";
import { decodeValue, encodeValue } from "@heddle/wire";
import { SNAPSHOT_PIECE_BYTES } from "./limits.ts";
import { decodeRecord, joined } from "./records.ts";

/** How the core reads and writes values: as everybody does, except that handles of shared objects stay what they are. */
export const values: ValueCodec = {
  decode: (bytes) => decodeValue(bytes),
  encode: (value) => encodeValue(value, "value"),
};

/** A state as a journal gives it back. */
export interface RecoveredState {
  readonly core: Objects;
  /** Bytes of the snapshot it began with; 0 for none. */
  readonly snapshotBytes: number;
  readonly records: number;
}

/** Makes the state that a journal keeps: its newest snapshot, and every command since. What came of them was said before, or never will be. */
export async function recoverState(journal: Journal): Promise<RecoveredState> {
  let core = new Objects({ values });
  let snapshotBytes = 0;
  let records = 0;
  for await (const recovered of journal.recover()) {
    if (recovered.type === "snapshot") {
      snapshotBytes = recovered.pieces.reduce((sum, { byteLength }) => sum + byteLength, 0);
      core = Objects.restore(readPieces(recovered.pieces), { values });
    } else {
      records++;
      for (const command of decodeRecord(recovered.bytes)) core.step(command);
    }
  }
  return { core, snapshotBytes, records };
}

/** Pieces of a core's snapshot as a journal keeps them: many to one of its own pieces, each behind its length. */
export function* writePieces(pieces: Iterable<SnapshotPiece>): Generator<Uint8Array> {
  let waiting: Uint8Array[] = [];
  let bytes = 0;
  for (const piece of pieces) {
    const encoded = values.encode(piece);
    waiting.push(lengthOf(encoded), encoded);
    bytes += encoded.length + LENGTH_BYTES;
    if (bytes < SNAPSHOT_PIECE_BYTES) continue;
    yield joined(waiting);
    waiting = [];
    bytes = 0;
  }
  if (bytes > 0) yield joined(waiting);
}

function* readPieces(stored: readonly Uint8Array[]): Generator<SnapshotPiece> {
  for (const bytes of stored) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at < bytes.length; ) {
      if (at + LENGTH_BYTES > bytes.length) throw new ProtocolError("a snapshot's piece ends too early");
      const end = at + LENGTH_BYTES + view.getUint32(at);
      if (end > bytes.length) throw new ProtocolError("a snapshot's piece ends too early");
      yield values.decode(bytes.subarray(at + LENGTH_BYTES, end)) as SnapshotPiece;
      at = end;
    }
  }
}

const LENGTH_BYTES = 4;

function lengthOf({ length }: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(LENGTH_BYTES);
  new DataView(bytes.buffer).setUint32(0, length);
  return bytes;
}
