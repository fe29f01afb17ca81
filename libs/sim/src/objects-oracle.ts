import type { Command, Effect, Objects, Operation, Reply } from "@heddle/core-objects";
import { decodeValue } from "@heddle/wire";
import { type Expected, keyOf, ObjectsModel, type Who } from "./objects-model.ts";

/** What is judged: the core, or one with a planted bug. */
export type ObjectsUnderTest = Pick<
  Objects,
  "step" | "read" | "snapshot" | "validate" | "revision" | "objects" | "locks" | "sessions"
>;

/** A promise of the objects that was not kept. */
export class PromiseBroken extends Error {
  override readonly name = "PromiseBroken";
}

type Asked = Extract<Command, { readonly type: "operations-asked" }>;

/** What became of an operation: answered as told, or it waits; `judged`: its reply is told by the naive objects. */
type Fate = { readonly type: "answered"; readonly told: string } | { readonly type: "waits"; readonly judged: boolean };

/**
 * Follows the log and judges every effect by the naive objects: what is granted and to whom, what is refused, what is done once. Numbers in
 * messages are those of the invariants in STATES.md of the core.
 */
export class ObjectsOracle {
  readonly model = new ObjectsModel();
  readonly #fates = new Map<string, Fate>();
  readonly #acknowledged = new Map<string, Set<number>>();
  readonly #sessions = new Map<number, { readonly nonce: string; readonly closed: Set<number> }>();
  readonly #tokens = new Map<string, number>();
  #revision = 0;

  /** The next command of the log, and what the core made of it. */
  observe(command: Command, effects: readonly Effect[], core: ObjectsUnderTest): void {
    this.model.expected.clear();
    const from = this.#revision;
    this.#revision += command.type === "operations-asked" ? Math.max(1, command.operations.length) : 1;
    check(core.revision === this.#revision, `revision ${core.revision} where ${this.#revision} is due`);
    if (command.type === "operations-asked") this.#observeAsked(command, effects, from);
    else this.#observeOther(command, effects);
    this.#checkWhole(core);
  }

  #observeOther(command: Exclude<Command, Asked>, effects: readonly Effect[]): void {
    switch (command.type) {
      case "session-opened":
        this.#observeOpening(command.nonce, effects);
        return;
      case "owner-closed": {
        const { session, owner } = command;
        this.#sessions.get(session)?.closed.add(owner);
        this.#forget((who) => who.session === session && who.owner === owner);
        break;
      }
      case "session-closed":
      case "session-expired":
        this.#sessions.delete(command.session);
        this.#forget((who) => who.session === command.session);
        break;
      case "lock-broken":
        this.model.breakLock(this.#revision, command.object);
        break;
    }
    this.#match(effects, new Set());
  }

  #observeOpening(nonce: string, [effect]: readonly Effect[]): void {
    check(effect?.type === "open-session" && effect.nonce === nonce, "an opening opens a session");
    const { session } = effect;
    const there = this.#sessions.get(session);
    if (there !== undefined) check(there.nonce === nonce, `7: session ${session} was opened for another nonce`);
    else {
      const twice = [...this.#sessions.values()].some((other) => other.nonce === nonce);
      check(session === this.#revision && !twice, `a new session is opened once, by its revision: ${session}`);
      this.#sessions.set(session, { nonce, closed: new Set() });
    }
  }

  #forget(gone: (who: Who) => boolean): void {
    this.model.die(this.#revision, gone);
    for (const key of [...this.#fates.keys()]) if (gone(whoOf(key))) this.#fates.delete(key);
  }

  #observeAsked(command: Asked, effects: readonly Effect[], from: number): void {
    const session = this.#sessions.get(command.session);
    const who: Who = { session: command.session, owner: command.owner };
    if (session === undefined || session.closed.has(command.owner)) {
      const allowed = effects.every((effect) => effect.type === "reply" && effect.reply.refusal?.code === "closed");
      check(allowed && (session !== undefined || effects.length === 0), "5: the dead are not heard");
      return;
    }
    this.#acknowledge(who, command.acknowledged);
    const again = new Set<string>();
    for (const [at, operation] of command.operations.entries())
      this.#observeOne(from + at + 1, who, operation, { effects, again });
    this.#match(effects, again);
  }

  #acknowledge(who: Who, acknowledged: readonly number[]): void {
    const seqs = this.#acknowledged.get(keyOf(who, 0)) ?? new Set();
    this.#acknowledged.set(keyOf(who, 0), seqs);
    for (let at = 0; at < acknowledged.length; at += 2) {
      const first = acknowledged[at] ?? 0;
      for (let seq = first; seq < first + (acknowledged[at + 1] ?? 0); seq++) seqs.add(seq);
    }
  }

  #observeOne(
    revision: number,
    who: Who,
    operation: Operation,
    { effects, again }: { readonly effects: readonly Effect[]; readonly again: Set<string> },
  ): void {
    const key = keyOf(who, operation.seq);
    const fate = this.#fates.get(key);
    if (fate === undefined) {
      this.#fates.set(key, { type: "waits", judged: this.model.judges(operation) });
      this.model.apply(revision, who, operation);
      return;
    }
    if (fate.type === "answered") again.add(key);
    const told = effects.filter((effect) => effect.type === "reply" && keyOf(effect, effect.reply.seq) === key);
    const acknowledged = this.#acknowledged.get(keyOf(who, 0))?.has(operation.seq);
    if (fate.type === "waits") return;
    check(told.length > 0, `7: ${key} was answered, and is not when it is asked again`);
    for (const effect of told) {
      if (effect.type !== "reply" || (acknowledged === true && effect.reply.refusal?.code === "state")) continue;
      check(show(effect.reply) === fate.told, `7: ${key} was ${fate.told}, and asked again ${show(effect.reply)}`);
    }
  }

  /** Every reply that is due is there, as it should be, and no other. */
  #match(effects: readonly Effect[], again: ReadonlySet<string>): void {
    const due = new Map(this.model.expected);
    for (const effect of effects) {
      if (effect.type !== "reply") continue;
      const { reply } = effect;
      const key = keyOf(effect, reply.seq);
      const expected = due.get(key);
      if (expected === undefined) {
        const fate = this.#fates.get(key);
        const free = fate?.type === "waits" && !fate.judged;
        check(again.has(key) || free, `8: nobody waits for ${key}: ${show(reply)}`);
        if (free) this.#fates.set(key, { type: "answered", told: show(reply) });
        continue;
      }
      due.delete(key);
      check(agrees(reply, expected), `${key} is told ${show(reply)} where ${JSON.stringify(expected)} is due`);
      this.#fates.set(key, { type: "answered", told: show(reply) });
    }
    for (const [key, expected] of due) check(false, `8: ${key} is owed ${JSON.stringify(expected)}`);
  }

  #checkWhole(core: ObjectsUnderTest): void {
    for (const { object, kind, holders } of core.locks()) {
      const exclusive = kind !== "semaphore";
      check(!exclusive || holders.length <= 1, `1: ${object} has ${holders.length} holders`);
      for (const { session, owner, token } of holders) {
        check(this.#sessions.get(session)?.closed.has(owner) === false, `5: ${object} is held by the dead`);
        const last = this.#tokens.get(object) ?? 0;
        check(!exclusive || token >= last, `2: token ${token} of ${object} after ${last}`);
        if (exclusive) this.#tokens.set(object, token);
      }
    }
    check(core.sessions().length === this.#sessions.size, "sessions are those that live");
    const { money } = this.model;
    check(money === 0 || money === 1_000, `there is ${money} in the bank`);
  }
}

function agrees(reply: Reply, { numbers, values, code }: Expected): boolean {
  const told = {
    numbers: reply.numbers,
    values: reply.values.map((value) => decodeValue(value)),
    code: reply.refusal?.code,
  };
  return JSON.stringify(told) === JSON.stringify({ numbers, values, code });
}

function show({ seq, revision, numbers, values, refusal }: Reply): string {
  return JSON.stringify([seq, revision, numbers, values.map((value) => [...value]), refusal]);
}

function whoOf(key: string): Who {
  const [session = "", owner = ""] = (key.split("/")[0] ?? "").split(".");
  return { session: Number(session), owner: Number(owner) };
}

function check(kept: unknown, what: string): asserts kept {
  if (!kept) throw new PromiseBroken(what);
}
