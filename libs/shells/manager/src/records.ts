import type { Command, Operation as CoreOperation, Reply as CoreReply } from "@heddle/core-objects";
import { ProtocolError } from "@heddle/kernel";
import {
  decodeOperations,
  encodeOperations,
  type JournalCommand,
  JournalRecord,
  type Operation,
  type Reply,
  verbName,
  verbOf,
} from "@heddle/wire";

/*
 * The core's words and the wire's: operations, replies, and commands as the journal keeps them.
 */

const noBytes = new Uint8Array(0);

/** An operation as the core takes it; undefined where this build does not know the verb. */
export function coreOperation(operation: Operation): CoreOperation | undefined {
  const verb = verbName(operation.verb);
  if (verb === undefined) return undefined;
  const { seq, object, values, numbers, guards, expectations } = operation;
  if (operation.operations.length === 0)
    return { seq, verb, object, values, numbers, guards, operations: [], expectations };
  const operations = operation.operations.map(coreOperation);
  if (!operations.every((inner) => inner !== undefined)) return undefined;
  return { seq, verb, object, values, numbers, guards, operations, expectations };
}

/** The other way around. */
function wireOperation(operation: CoreOperation): Operation {
  return {
    seq: operation.seq,
    verb: verbOf(operation.verb),
    object: operation.object,
    values: [...operation.values],
    numbers: [...operation.numbers],
    guards: [...operation.guards],
    operations: operation.operations.map(wireOperation),
    expectations: [...operation.expectations],
  };
}

/** A reply as it travels. */
export function wireReply({ seq, values, numbers, revision, refusal }: CoreReply): Reply {
  if (refusal === undefined)
    return { seq, values: values as Uint8Array[], numbers: numbers as number[], revision, error: undefined };
  const { name = "", limit = 0, actual = 0 } = refusal.limit ?? {};
  const { code, message } = refusal;
  const error = { code, message, path: "", side: "", limitName: name, limit, actual, cause: noBytes };
  return { seq, values: values as Uint8Array[], numbers: numbers as number[], revision, error };
}

/** A command as one entry of a JournalRecord, so that records are made by putting entries together. `batch`: its operations in bytes, if at hand. */
export function encodeCommand(command: Command, batch?: Uint8Array): Uint8Array {
  const kind = journalKind(command, batch);
  return JournalRecord.encode({ commands: [{ kind }], padding: noBytes }).finish();
}

/** A record that says nothing, of about so many bytes. */
export function emptyRecord(bytes: number): Uint8Array {
  return JournalRecord.encode({ commands: [], padding: new Uint8Array(bytes) }).finish();
}

/** The commands of a record, in order. Throws ProtocolError for what is none. */
export function decodeRecord(record: Uint8Array): Command[] {
  return JournalRecord.decode(record).commands.map(decodeCommand);
}

function journalKind(command: Command, batch: Uint8Array | undefined): NonNullable<JournalCommand["kind"]> {
  switch (command.type) {
    case "session-opened": {
      const { nonce, ttlMs, description } = command;
      return { $case: "openSession", value: { nonce, ttlMs, description } };
    }
    case "operations-asked": {
      const { session, owner, acknowledged, operations } = command;
      const bytes = batch ?? encodeOperations(operations.map(wireOperation));
      return { $case: "operations", value: { session, owner, batch: bytes, acknowledged: [...acknowledged] } };
    }
    case "owner-closed":
      return { $case: "closeOwner", value: { session: command.session, owner: command.owner } };
    case "session-closed":
      return { $case: "closeSession", value: { session: command.session } };
    case "session-expired":
      return { $case: "expireSession", value: { session: command.session } };
    case "lock-broken":
      return { $case: "breakLock", value: { object: command.object, reason: command.reason } };
  }
}

function decodeCommand({ kind }: JournalCommand): Command {
  switch (kind?.$case) {
    case "openSession":
      return { type: "session-opened", ...kind.value };
    case "operations": {
      const { session, owner, acknowledged, batch } = kind.value;
      const operations = decodeOperations(batch).map(coreOperation);
      if (!operations.every((operation) => operation !== undefined))
        throw new ProtocolError("the journal holds operations that this build does not know: a newer one wrote it");
      return { type: "operations-asked", session, owner, acknowledged, operations };
    }
    case "closeOwner":
      return { type: "owner-closed", ...kind.value };
    case "closeSession":
      return { type: "session-closed", ...kind.value };
    case "expireSession":
      return { type: "session-expired", ...kind.value };
    case "breakLock":
      return { type: "lock-broken", ...kind.value };
    case undefined:
      throw new ProtocolError("the journal holds a command that this build does not know: a newer one wrote it");
  }
}

/** Bytes behind each other. */
export function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const [only] = pieces;
  if (pieces.length === 1 && only !== undefined) return only;
  let bytes = 0;
  for (const piece of pieces) bytes += piece.length;
  const all = new Uint8Array(bytes);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
