import { randomUUID } from "node:crypto";
import { appendFileSync, existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import {
  type Dict,
  Event,
  type List,
  Lock,
  Manager,
  type Namespace,
  Pool,
  Queue,
  type SharedArray,
  task,
  type Value,
} from "heddle";
import type { Ledger } from "../../harness/effects-ledger.ts";

/** Functions whose writes count once. */

/** Adds one to a key by reading and writing it. */
export async function addByModify(total: Dict<string, number>, n: number): Promise<number> {
  await total.modify("sum", (sum = 0) => sum + n);
  return n;
}

/** The same, by comparing. */
export async function addByCompare(total: Dict<string, number>, n: number): Promise<number> {
  for (;;) {
    const sum = await total.get("sum");
    if (await total.compareAndSet("sum", sum, (sum ?? 0) + n)) return n;
  }
}

/** Leaves the same mark, that no other run of it leaves, wherever it can write. */
async function markAll({ marks, lines, count, cells }: Ledger, n: number): Promise<string> {
  const mark = `${n} ${randomUUID()}`;
  await marks.set(n, mark);
  await lines.append(mark);
  await count.increment("items");
  void cells.add(n, 1); // nobody awaits it
  return mark;
}

/** As `markAll`, and fails the first time, or as `failing` says each time, after all is written. */
export async function markAndFail(ledger: Ledger, n: number, failing: "once" | "always" | "never"): Promise<string> {
  const mark = await markAll(ledger, n);
  if (failing === "always" || (failing === "once" && task().attempt === 1)) throw new RangeError(`no ${n}`);
  return mark;
}

/** As `markAll`, once a file is there that is named like the gate and the item; says in another that it runs, and where. */
export async function markAfter(
  ledger: Ledger,
  n: number,
  { gate, log }: { readonly gate: string; readonly log: string },
): Promise<string> {
  appendFileSync(log, `${n} ${task().node}\n`);
  while (!existsSync(`${gate}-${n}`)) await sleep(5);
  return await markAll(ledger, n);
}

/** As `markAll`, in a while. */
export async function markSlowly(ledger: Ledger, n: number): Promise<string> {
  const mark = await markAll(ledger, n);
  await sleep(10);
  return mark;
}

/** As `markAll`, but kills its worker each time that it comes to one item, after all is written. */
export async function markOrDie(ledger: Ledger, n: number, deadly: number): Promise<string> {
  const mark = await markAll(ledger, n);
  await sleep(5);
  if (n === deadly) process.kill(process.pid, "SIGKILL");
  return mark;
}

/** Writes, and comes to `bytes`. */
export async function large(total: Dict<string, number>, bytes: number): Promise<Uint8Array> {
  await total.increment("sum");
  return new Uint8Array(bytes);
}

/** So many writes, which nobody awaits. */
export function appendMany(lines: List<number>, count: number): number {
  for (let n = 0; n < count; n++) void lines.append(n);
  return count;
}

/** What an item sees that was written before it. */
export async function appendAndRead(lines: List<number>, n: number): Promise<number[]> {
  await lines.append(n);
  return await lines.toArray();
}

type Ask = (answer: Promise<unknown>) => Promise<void>;

interface Cells {
  readonly array: SharedArray<"i32">;
  readonly value: Value<"i64">;
  readonly space: Namespace<Record<string, unknown>>;
}

/** Everything there is to be asked of objects that count once. Gives each answer. */
export async function askEverything(dict: Dict, list: List<number>, cells: Cells): Promise<unknown[]> {
  const seen: unknown[] = [];
  const ask: Ask = async (answer) => {
    seen.push(
      await answer.catch((error: Error) => `${error.name}: ${error.message.replace(/operation \d+[^:]*: /, "")}`),
    );
  };
  for (const round of [1, 2]) {
    await askDict(ask, dict, round);
    await askList(ask, list);
    await askCells(ask, cells, round);
  }
  await ask(dict.clear());
  await ask(dict.set("last", true));
  await ask(dict.popItem());
  await ask(dict.popItem());
  await ask(dict.set("end", 1));
  await ask(list.clear());
  await ask(list.append(1));
  await ask(list.toArray());
  return seen;
}

async function askDict(ask: Ask, dict: Dict, round: number): Promise<void> {
  await ask(dict.get("a"));
  await ask(dict.set("a", round));
  await ask(dict.get("a"));
  await ask(
    dict.update([
      ["b", 2],
      ["c", 3],
      ["b", 4],
    ]),
  );
  await ask(dict.get("b"));
  await ask(dict.has("nothing"));
  await ask(dict.increment("a", 5));
  await ask(dict.increment("n", 1n));
  await ask(dict.increment("text"));
  await ask(dict.setDefault("d", [1]));
  await ask(dict.setDefault("d", [2]));
  await ask(dict.compareAndSet("d", [1], [3]));
  await ask(dict.compareAndSet("d", [1], [4]));
  await ask(dict.modify("a", (a) => Number(a) * 2));
  await ask(dict.entries());
  await ask(dict.delete("b"));
  await ask(dict.delete("b"));
  await ask(dict.pop("c"));
  await ask(dict.pop("c"));
  await ask(dict.pop("c", "none"));
  await ask(dict.keys());
  await ask(dict.popItem());
  await ask(dict.size());
  await ask(dict.values());
}

async function askList(ask: Ask, list: List<number>): Promise<void> {
  await ask(list.append(5));
  await ask(list.extend([3, 4, 1]));
  await ask(list.length());
  await ask(list.at(-1));
  await ask(list.set(0, 9));
  await ask(list.set(77, 9));
  await ask(list.insert(1, 8));
  await ask(list.pop());
  await ask(list.pop(0));
  await ask(list.pop(99));
  await ask(list.remove(4));
  await ask(list.remove(4_000));
  await ask(list.sort());
  await ask(list.toArray());
  await ask(list.reverse());
  await ask(list.slice(1, 3));
  await ask(list.delete(0));
  await ask(list.index(3));
  await ask(list.count(3));
}

async function askCells(ask: Ask, { array, value, space }: Cells, round: number): Promise<void> {
  await ask(array.set(0, 7));
  await ask(array.add(0, 2 ** 31 - 1));
  await ask(array.get(0));
  await ask(array.setSlice(1, [1, 2]));
  await ask(array.slice());
  await ask(value.add(3n));
  await ask(value.compareExchange(3n, 4n));
  await ask(value.compareExchange(3n, 5n));
  await ask(value.get());
  await ask(value.set(10n));
  await ask(space.set("x", round));
  await ask(space.get("x"));
  await ask(space.delete("y"));
}

/** Moves what is in one key to another, in a transaction, after a write of its own. */
export async function move(from: Dict<string, number>, to: Dict<string, number>): Promise<number> {
  const manager = new Manager();
  await from.increment("sum", 1);
  return await manager.transaction(async (tx) => {
    const [a, b] = [tx.use(from), tx.use(to)];
    const sum = (await a.get("sum")) ?? 0;
    await a.set("sum", 0);
    await b.set("sum", ((await b.get("sum")) ?? 0) + sum);
    return sum;
  });
}

/** What an item is told of what is not for it. */
export async function askForbidden(total: Dict<string, number>): Promise<string[]> {
  const lock = new Lock({ name: "effects.lock" });
  const event = new Event({ name: "effects.event" });
  const queue = new Queue<number>({ name: "effects.queue" });
  await using pool = new Pool();
  const asked: (() => Promise<unknown>)[] = [
    () => lock.acquire(),
    () => lock.run(() => total.set("locked", 1)),
    () => event.set(),
    () => queue.put(1),
    () => queue.get({ timeoutMs: 0 }),
    () => total.destroy(),
    () => total.watch().next(),
    () => pool.apply(addByModify, [total, 1]),
  ];
  const said: string[] = [];
  for (const ask of asked) {
    try {
      await ask();
      said.push("it was done");
    } catch (error) {
      said.push(error instanceof Error ? `${error.name}: ${error.message}` : String(error));
    }
  }
  return said;
}

/** Writes what is refused, and does not look. */
export async function popUnseen(list: List<number>, total: Dict<string, number>): Promise<void> {
  await total.increment("sum");
  void list.pop();
}

/** Runs for n ms; the one of 1 ms writes on when it is over. */
export async function writeLate(total: Dict<string, number>, n: number): Promise<number> {
  await total.increment("sum", n);
  if (n === 1) setTimeout(() => void total.set("late", n), 20);
  await sleep(n);
  return n;
}

/** Puts a dict of its own into another. */
export async function nest(into: Dict<string, Dict<string, number>>, name: string): Promise<string> {
  const manager = new Manager();
  const own = manager.dict<string, number>([["made", 1]]);
  await own.set("more", 2);
  await into.set(name, own);
  return name;
}
