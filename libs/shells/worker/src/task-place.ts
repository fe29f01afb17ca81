import { type EncodedPayload, type PrepareJob, payloadItems, type RunChunk, type ValueReaderHooks } from "@heddle/wire";
import type { TaskPlace } from "./task-context.ts";

/** What a chunk comes to its worker with, beside its items. */
interface ChunkFacts {
  readonly prepare: PrepareJob;
  readonly message: RunChunk;
  /** What an attempt before has left of one of its items. */
  readonly restored: EncodedPayload | undefined;
}

/** What the items of a chunk have in common. `hooks`: how handles in what is restored come to life. */
export function placeOf({ prepare, message, restored: state }: ChunkFacts, hooks: ValueReaderHooks): TaskPlace {
  const { node, jobId, seedLow, seedHigh, effectsOnce: isOnce } = prepare;
  const { assignment, attempt, firstIndex: chunkIndex, restored: told } = message;
  const read = state && ((): unknown => payloadItems(state, undefined, hooks).next());
  const restored = read && { offset: told?.offset ?? 0, read };
  return { node, jobId, attempt, seedLow, seedHigh, assignment, chunkIndex, restored, isOnce };
}

/** Numbers for payloads that go in parts. */
export function streamNumbers(): () => number {
  let last = 0;
  return () => {
    last = last >= 0xffff_ffff ? 1 : last + 1;
    return last;
  };
}
