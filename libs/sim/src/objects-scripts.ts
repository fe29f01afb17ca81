import type { Expectation, Guard, Reply, Verb } from "@heddle/core-objects";
import type { Millis, Random } from "@heddle/kernel";
import { decodeValue, encodeValue } from "@heddle/wire";
import { SHARED_JOB } from "./objects-model.ts";

/** What a script does next: asks for an operation and waits for the reply (cancelling after a while), asks and goes on, or rests. */
export type Act =
  | { readonly type: "ask"; readonly call: Call; readonly timeoutMs?: Millis; readonly goOn?: boolean }
  | { readonly type: "rest"; readonly forMs: Millis };

export interface Call {
  readonly verb: Verb;
  readonly object: string;
  readonly values?: readonly unknown[];
  readonly numbers?: readonly number[];
  readonly guards?: readonly Guard[];
  readonly calls?: readonly Call[];
  readonly expectations?: readonly Expectation[];
}

/** What scripts of one owner share with the world. */
export interface Stage {
  readonly random: Random;
  /** No new thing is begun when faults are over. */
  readonly healed: boolean;
  /** Never given twice. */
  mint(): string;
  /** The reply of a write that is done at most once: its mark, and what it was told. */
  noted(kind: "appended" | "counted" | "put" | "got", mark: unknown): void;
}

/** Acts, and is told the reply of each `ask` that waits for it. */
export type Script = Generator<Act, void, Reply | undefined>;

/** One owner's life: it does one thing after another, until nothing new is to be begun. */
export function* live(stage: Stage): Script {
  yield { type: "ask", call: { verb: "create", object: "@p", values: [{ kind: "pipe" }] }, goOn: true };
  yield* doAndForget("pipe-hold", "@p", [0, 0]);
  yield* doAndForget("pipe-hold", "@p", [1, 0]);
  while (!stage.healed) {
    const things = [
      count,
      append,
      underLock,
      underRlock,
      waitAtCondition,
      notify,
      permit,
      put,
      get,
      meet,
      pay,
      signal,
      talk,
      own,
      openJob,
      settle,
    ];
    const thing = things[stage.random.int(things.length)] ?? count;
    yield* thing(stage, []);
    if (stage.random.int(3) === 0) yield { type: "rest", forMs: stage.random.int(100) };
  }
}

function* ask(call: Call, timeoutMs?: Millis): Generator<Act, Reply, Reply | undefined> {
  const reply = yield timeoutMs === undefined ? { type: "ask", call } : { type: "ask", call, timeoutMs };
  if (reply === undefined) throw new Error("a script that waits is told a reply");
  return reply;
}

function* doAndForget(verb: Verb, object: string, numbers: readonly number[]): Script {
  yield { type: "ask", call: { verb, object, numbers }, goOn: true };
}

function* count(stage: Stage, guards: readonly Guard[]): Script {
  const key = `n${stage.random.int(2)}`;
  const reply = yield* ask({ verb: "dict-increment", object: "@n", values: [key, 1], guards });
  const [sum] = reply.values;
  if (sum !== undefined) stage.noted("counted", `${key}=${decodeValue(sum)}`);
}

function* append(stage: Stage, guards: readonly Guard[]): Script {
  const mark = stage.mint();
  const reply = yield* ask({ verb: "list-append", object: "@log", values: [mark], guards });
  if (reply.refusal === undefined) stage.noted("appended", mark);
}

/** Gives back what is held whatever happens inside; a wait at a condition brings another token. */
function* underLock(stage: Stage): Script {
  const held = yield* acquire(stage, "@k", 0);
  if (held !== undefined) yield* inside(stage, "@k", held);
}

/** Twice by the same flow, which gets the same token. */
function* underRlock(stage: Stage): Script {
  const flow = stage.random.int(3);
  const held = yield* acquire(stage, "@r", flow);
  if (held === undefined) return;
  if (stage.random.int(2) === 0) yield* ask({ verb: "lock-acquire", object: "@r", numbers: [1, flow] });
  yield* inside(stage, "@r", held);
}

function* acquire(stage: Stage, lock: string, flow: number): Generator<Act, number | undefined, Reply | undefined> {
  const poll = stage.random.int(5) === 0 ? 0 : 1;
  const reply = yield* ask({ verb: "lock-acquire", object: lock, numbers: [poll, flow] }, stage.random.int(600));
  return reply.numbers[0];
}

function* inside(stage: Stage, lock: string, token: number): Script {
  const guards = [{ lock, token }];
  for (let left = stage.random.int(3); left >= 0; left--)
    yield* (stage.random.int(2) === 0 ? count : append)(stage, guards);
  if (stage.random.int(3) === 0) yield { type: "rest", forMs: stage.random.int(400) };
  yield* ask({ verb: "lock-release", object: lock, numbers: [token] });
}

function* waitAtCondition(stage: Stage): Script {
  const held = yield* acquire(stage, "@k", 0);
  if (held === undefined) return;
  const call: Call = { verb: "condition-wait", object: "@c", numbers: [1, held] };
  const reply = yield* ask(call, stage.random.int(500));
  const [token] = reply.numbers;
  if (token !== undefined) yield* inside(stage, "@k", token);
}

function* notify(stage: Stage): Script {
  const held = yield* acquire(stage, "@k", 0);
  if (held === undefined) return;
  yield* ask({ verb: "condition-notify", object: "@c", numbers: [stage.random.int(3) - 1, held] });
  yield* ask({ verb: "lock-release", object: "@k", numbers: [held] });
}

function* permit(stage: Stage): Script {
  const poll = stage.random.int(4) === 0 ? 0 : 1;
  const reply = yield* ask({ verb: "semaphore-acquire", object: "@s", numbers: [poll] }, stage.random.int(400));
  const [token] = reply.numbers;
  if (token === undefined) return;
  yield { type: "rest", forMs: stage.random.int(200) };
  yield* ask({ verb: "semaphore-return", object: "@s", numbers: [token] });
}

function* put(stage: Stage): Script {
  const mark = stage.mint();
  const poll = stage.random.int(4) === 0 ? 0 : 1;
  const call: Call = { verb: "queue-put", object: "@q", values: [mark], numbers: [poll] };
  const reply = yield* ask(call, stage.random.int(400));
  if (reply.refusal === undefined) stage.noted("put", mark);
}

function* get(stage: Stage): Script {
  const poll = stage.random.int(4) === 0 ? 0 : 1;
  const reply = yield* ask({ verb: "queue-get", object: "@q", numbers: [poll] }, stage.random.int(400));
  const [item] = reply.values;
  if (item !== undefined) stage.noted("got", decodeValue(item));
}

function* meet(stage: Stage): Script {
  const call: Call = { verb: "barrier-wait", object: "@b", numbers: [1, stage.random.int(2)] };
  const reply = yield* ask(call, stage.random.int(800));
  if (reply.numbers[1] === 1) {
    yield { type: "rest", forMs: stage.random.int(50) };
    yield* ask({ verb: "barrier-release", object: "@b", numbers: [stage.random.int(5) === 0 ? 0 : 1] });
  } else if (reply.refusal !== undefined && stage.random.int(2) === 0) {
    yield* ask({ verb: "barrier-reset", object: "@b" });
  }
}

/** Moves money, if nobody moved any meanwhile. */
function* pay(stage: Stage): Script {
  const [from, to] = stage.random.int(2) === 0 ? (["a", "b"] as const) : (["b", "a"] as const);
  const reads: { readonly value: number; readonly expectation: Expectation }[] = [];
  for (const key of [from, to]) {
    const reply = yield* ask({ verb: "dict-get", object: "@bank", values: [key] });
    const [value] = reply.values;
    if (value === undefined) return;
    const expectation = { object: "@bank", key: new Uint8Array(encodeValue(key, "value")), revision: reply.revision };
    reads.push({ value: Number(decodeValue(value)), expectation });
  }
  const amount = 1 + stage.random.int(9);
  const balances = [(reads[0]?.value ?? 0) - amount, (reads[1]?.value ?? 0) + amount];
  const calls: Call[] = [from, to].map((key, at) => ({
    verb: "dict-set",
    object: "@bank",
    values: [key, balances[at]],
  }));
  yield* ask({ verb: "transaction", object: "", calls, expectations: reads.map(({ expectation }) => expectation) });
}

function* signal(stage: Stage): Script {
  if (stage.random.int(2) === 0)
    yield* ask({ verb: stage.random.int(2) === 0 ? "event-set" : "event-clear", object: "@e" });
  else yield* ask({ verb: "event-wait", object: "@e", numbers: [1] }, stage.random.int(300));
}

/** Over the pipe that all share; one that is closed is made anew. */
function* talk(stage: Stage): Script {
  const end = stage.random.int(2);
  const what = stage.random.int(12);
  if (what < 4) yield* ask({ verb: "pipe-close", object: "@p", numbers: [1 - end] });
  const call: Call =
    what > 7
      ? { verb: "pipe-send", object: "@p", values: [stage.mint()], numbers: [end, 0] }
      : { verb: what < 6 ? "pipe-receive" : "pipe-poll", object: "@p", numbers: [1, end] };
  const { refusal } = yield* ask(call, stage.random.int(300));
  if (refusal?.code !== "closed" && refusal?.code !== "end-of-stream") return;
  yield* ask({ verb: "destroy", object: "@p" });
  yield* ask({ verb: "create", object: "@p", values: [{ kind: "pipe" }] });
}

/** A job that ends with its owner; at times it is closed, by whoever comes. */
function* openJob(stage: Stage): Script {
  const job = `job${stage.random.int(2)}`;
  if (stage.random.int(6) === 0) yield* ask({ verb: "effects-close", object: "", values: [job] });
  else yield* ask({ verb: "effects-open", object: "", values: [job], numbers: [0] });
}

/** What a few items write counts once, whoever says so how often; half of the time only if nobody has counted meanwhile. */
function* settle(stage: Stage): Script {
  const job = SETTLED_JOBS[stage.random.int(SETTLED_JOBS.length)] ?? "";
  const expectations: Expectation[] = [];
  if (stage.random.int(2) === 0) {
    const { revision } = yield* ask({ verb: "dict-get", object: "@n", values: ["n0"] });
    expectations.push({ object: "@n", key: new Uint8Array(encodeValue("n0", "value")), revision });
  }
  const first = stage.random.int(SETTLED_ITEMS);
  const marks = Array.from({ length: 1 + stage.random.int(3) }, () => stage.mint());
  const calls = marks.flatMap((mark, at): Call[] => [
    { verb: "dict-increment", object: "@once", values: [`${job}/${first + at}`, 1] },
    { verb: "list-append", object: "@log", values: [mark] },
  ]);
  const numbers = [first, ...marks.map(() => 2)];
  const call: Call = { verb: "effects-commit", object: "", values: [job, ...marks], numbers, calls, expectations };
  const reply = yield* ask(call);
  for (const [at, isSettled] of reply.numbers.entries()) if (isSettled === 1) stage.noted("appended", marks[at]);
  if (reply.refusal === undefined && stage.random.int(3) === 0) yield* ask(call);
}

/** Of jobs that items are settled of: the shared one outlives everybody. */
const SETTLED_JOBS = [SHARED_JOB, SHARED_JOB, "job0", "job1"];
const SETTLED_ITEMS = 30;

/** Things of one's own, and writes that nobody awaits. */
function* own(stage: Stage): Script {
  const object = stage.mint();
  const kind = stage.random.int(2) === 0 ? "list" : "dict";
  yield { type: "ask", call: { verb: "create", object, values: [{ kind }] }, goOn: true };
  yield { type: "ask", call: { verb: "event-set", object: "@e" }, goOn: true };
  yield* ask({ verb: kind === "list" ? "list-length" : "dict-size", object });
  if (stage.random.int(2) === 0) yield* ask({ verb: "destroy", object });
}
