import { type LogEntry, shared } from "./client-events.ts";
import { type LaneContext, WrongResult } from "./lane.ts";

/** Errors that say that nothing was done. Whatever else a write rejects with, nobody knows. */
const NOT_DONE: ReadonlySet<string> = new Set(["LimitError", "LockLostError"]);
/** Entries of the log that its reader keeps. */
const LOG_ENTRIES_MAX = 200;

/** Counts a write that may reject, and passes on what it gives or rejects with. */
async function counting<T>(context: LaneContext, key: string, write: () => Promise<T>): Promise<T> {
  let value: T;
  try {
    value = await write();
  } catch (error) {
    const isDone = error instanceof Error && NOT_DONE.has(error.name);
    if (!isDone) await context.counted(key, { unknown: 1 });
    throw error;
  }
  await context.counted(key, { acknowledged: 1 });
  return value;
}

/** Adds to a counter that nobody else adds to: what it gives can only be one more, or as many more as there are writes of unknown outcome. */
export async function countLane(context: LaneContext): Promise<void> {
  const counts = context.manager.dict<string, number>([], { name: shared.counts });
  for (let left = 1 + context.random.int(20); left > 0; left--)
    await counting(context, context.name, () => counts.increment(context.name));
}

/** Reads and writes a counter under a lock, and says so in a log. */
export async function lockLane(context: LaneContext): Promise<void> {
  const { manager, random, name } = context;
  const counts = manager.dict<string, number>([], { name: shared.counts });
  const log = manager.list<LogEntry>([], { name: shared.log });
  await manager.lock({ name: shared.lock }).run(async ({ token }) => {
    await log.append([token, name, "enter"]);
    const before = (await counts.get("under lock", 0)) ?? 0;
    await new Promise((resolve) => setTimeout(resolve, random.int(30)));
    await counting(context, "under lock", () => counts.set("under lock", before + 1));
    await log.append([token, name, "leave"]);
    if ((await log.length()) < LOG_ENTRIES_MAX) return;
    checkLog(await log.toArray());
    await log.clear();
    await log.append([token, name, "clear"]);
  });
}

/** Throws WrongResult unless one hold after the other has written, each larger than those before it, and each in its order. */
export function checkLog(entries: readonly LogEntry[]): void {
  const order = ["enter", "leave", "clear"];
  for (const [at, [token, client, what]] of entries.entries()) {
    const [lastToken, lastClient, lastWhat] = entries[at - 1] ?? [0n, "", "clear"];
    const isNext = token > lastToken && (what === "enter" || at === 0);
    const isSame = token === lastToken && client === lastClient && order.indexOf(what) > order.indexOf(lastWhat);
    if (isNext || isSame) continue;
    const around = entries.slice(Math.max(0, at - 3), at + 3).map(([of, by, did]) => `${of} ${by} ${did}`);
    throw new WrongResult(`two were in the critical section at once, or an old one wrote: ${around.join(", ")}`);
  }
}
