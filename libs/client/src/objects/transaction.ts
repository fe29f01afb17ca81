import { backoffMs, ConflictError, hash32, TimeoutError } from "@heddle/kernel";
import { described } from "../describe.ts";
import {
  TRANSACTION_ATTEMPTS_MAX,
  TRANSACTION_LOCKS,
  TRANSACTION_QUEUED_CONFLICTS,
  TRANSACTION_TURN_MS,
} from "../limits.ts";
import type { Code } from "./codes.ts";
import { Dict } from "./dict.ts";
import type { ObjectsHome } from "./home.ts";
import type { Key } from "./keys.ts";
import { List } from "./list.ts";
import { Lock } from "./lock.ts";
import { Namespace } from "./namespace.ts";
import { pause, RETRY_BACKOFF } from "./retry.ts";
import type { SharedObject } from "./shared-object.ts";
import { TransactionNamespace, TransactionValue } from "./transaction-cells.ts";
import { TransactionDict } from "./transaction-dict.ts";
import { TransactionList } from "./transaction-list.ts";
import { TransactionLog } from "./transaction-log.ts";
import type { TransactionRun, TransactionView } from "./transaction-view.ts";
import { Value } from "./value.ts";

/** One run of a transaction: gives its function the objects that take part. */
export class Transaction {
  readonly #log: TransactionLog;
  readonly #run: TransactionRun;
  readonly #views = new Map<SharedObject, TransactionView>();

  /** Made by `manager.transaction()`. */
  constructor(log: TransactionLog, run: TransactionRun) {
    this.#log = log;
    this.#run = run;
  }

  /** The object as this run sees it. The same for the same handle. Throws TypeError for what is no dict, list, namespace or value. */
  use<K extends Key, V>(dict: Dict<K, V>): TransactionDict<K, V>;
  use<T>(list: List<T>): TransactionList<T>;
  use<T extends object>(namespace: Namespace<T>): TransactionNamespace<T>;
  use<C extends Code>(value: Value<C>): TransactionValue<C>;
  use(object: SharedObject): TransactionView {
    let view = this.#views.get(object);
    if (view === undefined) {
      view = this.#viewOf(object);
      this.#views.set(object, view);
      this.#log.add(object);
    }
    return view;
  }

  #viewOf(object: SharedObject): TransactionView {
    const [log, run] = [this.#log, this.#run];
    if (object instanceof Dict) return new TransactionDict(run, log, object);
    if (object instanceof List) return new TransactionList(run, log, object);
    if (object instanceof Namespace) return new TransactionNamespace(run, log, object);
    if (object instanceof Value) return new TransactionValue(run, log, object);
    throw new TypeError(`a transaction uses dicts, lists, namespaces and values, got ${described(object)}`);
  }
}

/** Runs a function until what it has read is unchanged when what it wrote is written, as `manager.transaction` says. */
export async function runTransaction<R>(home: ObjectsHome, fn: (tx: Transaction) => R): Promise<Awaited<R>> {
  if (typeof fn !== "function") throw new TypeError(`fn must be a function, got ${described(fn)}`);
  await using turns = new AsyncDisposableStack();
  let conflict: ConflictError | undefined;
  for (let attempt = 1; attempt <= TRANSACTION_ATTEMPTS_MAX; attempt++) {
    const log = new TransactionLog(home);
    const outcome = await attemptOf(log, fn);
    if (outcome.type === "done") return outcome.result;
    conflict = outcome.conflict;
    if (attempt === TRANSACTION_QUEUED_CONFLICTS) await takeTurn(turns, home, log.objects);
    else await pause(home, backoffMs(RETRY_BACKOFF, attempt, home.env.random));
  }
  const message = `a transaction ran ${TRANSACTION_ATTEMPTS_MAX} times and each time something that it had read was changed meanwhile; the last time ${conflict?.message ?? ""}`;
  throw new ConflictError(message, { cause: conflict });
}

type Outcome<R> =
  | { readonly type: "done"; readonly result: R }
  | { readonly type: "conflict"; readonly conflict: ConflictError };

/** One run. Rejects with what the function throws, unless that may come of reads that do not belong together. */
async function attemptOf<R>(log: TransactionLog, fn: (tx: Transaction) => R): Promise<Outcome<Awaited<R>>> {
  const run: TransactionRun = { isOver: false, pending: new Set() };
  let result: Awaited<R>;
  try {
    result = await fn(new Transaction(log, run));
  } catch (error) {
    await settled(run);
    const conflict = await conflictOf(log.check());
    if (conflict === undefined) throw error;
    return { type: "conflict", conflict };
  }
  await settled(run);
  await log.prepare();
  const conflict = await conflictOf(log.commit());
  return conflict === undefined ? { type: "done", result } : { type: "conflict", conflict };
}

/** What the function asked and did not await is done too; afterwards nothing is asked any more. */
async function settled(run: TransactionRun): Promise<void> {
  while (run.pending.size > 0) await Promise.all(run.pending);
  run.isOver = true;
}

async function conflictOf(asked: Promise<void>): Promise<ConflictError | undefined> {
  try {
    await asked;
    return undefined;
  } catch (error) {
    if (error instanceof ConflictError) return error;
    throw error;
  }
}

/** Waits for a turn among transactions that use the same objects (and a few others), and keeps it. One that is not had in time is done without. */
export async function takeTurn(
  turns: AsyncDisposableStack,
  home: ObjectsHome,
  objects: readonly string[],
): Promise<void> {
  const number = Math.abs(hash32(objects.join("\n"))) % TRANSACTION_LOCKS;
  const lock = new Lock({ name: `heddle.transactions.${number}` }, { home });
  try {
    const guard = await lock.acquire({ timeoutMs: TRANSACTION_TURN_MS });
    turns.defer(() => guard.release().catch(() => undefined)); // a turn that was lost kept nobody from anything
  } catch (error) {
    if (!(error instanceof TimeoutError)) throw error;
  }
}
