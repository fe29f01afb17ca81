/**
 * A program that owns a journal: `node appender.ts DIRECTORY MODE COUNT OWNER`, the last of which is the journal's option as JSON. The record at position p is "p" padded by its number of dots,
 * the snapshot at p is "p". It prints "open POSITION", then the position of every acknowledged record, each on a line.
 *
 * - load: appends for ever, 16 at a time, with a snapshot every 500 records.
 * - count: appends COUNT records one by one; then it has nothing to do, and closes nothing.
 * - hold: appends nothing and stays.
 */
import { silentLogger } from "@heddle/kernel";
import { openSqliteJournal } from "../index.ts";
import { recordAt } from "./records.ts";
import { say } from "./say.ts";

const [directory = "", mode, count, owner = "{}"] = process.argv.slice(2);

try {
  const journal = await openSqliteJournal({ directory, log: silentLogger, owner: JSON.parse(owner) });
  for await (const _ of journal.recover());
  say(`open ${journal.position}`);
  let next = journal.position;
  const appendNext = async (): Promise<void> => {
    next++;
    const position = next;
    await journal.append([recordAt(position)]);
    say(String(position));
  };
  const appendForEver = async (): Promise<void> => {
    for (;;) await appendNext();
  };
  const saveForEver = async (): Promise<void> => {
    for (let saved = journal.position; ; await new Promise(setImmediate)) {
      if (journal.position < saved + 500) continue;
      saved = journal.position;
      await journal.saveSnapshot(saved, [new TextEncoder().encode(String(saved))]);
    }
  };
  if (mode === "load") await Promise.all([saveForEver(), ...Array.from({ length: 16 }, appendForEver)]);
  if (mode === "hold") setInterval(() => undefined, 1_000);
  for (let left = mode === "count" ? Number(count) : 0; left > 0; left--) await appendNext();
} catch (error) {
  say(`error ${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}`);
  process.exit(70);
}
