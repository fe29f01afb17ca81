import { assert, Heap, seededRandom } from "@heddle/kernel";
import { equalAnswers, type Operation, type SequentialModel } from "./history.ts";
import { CHECKPOINT_EVERY, DEVIATION_COST, STATES_KEPT_MAX } from "./limits.ts";
import { Pending } from "./pending.ts";

/** How a search ended. Operations are indices of the history. */
export interface Found {
  readonly type: "order" | "none" | "steps-used-up";
  /** The order found, else the one that placed most answered operations. */
  readonly order: readonly number[];
  /** Steps of the model taken. */
  readonly steps: number;
}

/** An order of some operations: that of its parent with one more. */
interface Node<S> {
  readonly parent: Node<S> | undefined;
  /** The last operation of the order; -1 of the empty one. */
  readonly placed: number;
  readonly depth: number;
  /** Answered operations that are not placed. */
  readonly open: number;
  /** Answered operations, in order of return, up to the first that is not placed. */
  settled: number;
  /** Deviations from what seemed likeliest, on the whole way here. */
  readonly deviations: number;
  /** Two words that name the set of the placed operations. */
  readonly high: number;
  readonly low: number;
  /** What may come next, the likeliest first; unknown until it is looked at. */
  candidates: readonly number[] | undefined;
  /** Of those, how many were tried. */
  tried: number;
  /** How many of the tried ones fitted. */
  fitted: number;
  /** Boxed, for it may be undefined; forgotten when it is long ago, and computed again when needed. */
  state: { readonly state: S } | undefined;
}

/** An order to be made longer: the greatest worth first, then the newest. */
interface Chance<S> {
  readonly node: Node<S>;
  readonly worth: number;
  readonly sequence: number;
}

/**
 * Wing and Gong's search for an order that the model allows, with Lowe's memory of what was reached before: the same operations placed and the same
 * state lead nowhere a second time. A read that fits now is placed now: it changes nothing, so that whatever works with it later works with it here.
 * Where it goes on is the order with the most answers explained, less a cost for each choice that was not the likeliest: a wrong choice shows some operations
 * later, and then another one near it is tried before all the combinations of what came after it.
 */
export class Search<S, In> {
  readonly #history: readonly Operation<In>[];
  readonly #model: SequentialModel<S, In>;
  readonly #stepsMax: number;
  /** As of `#here`. */
  readonly #pending: Pending;
  #here: Node<S>;
  readonly #chances = new Heap<Chance<S>>((a, b) =>
    a.worth !== b.worth ? a.worth > b.worth : a.sequence > b.sequence,
  );
  #sequence = 0;
  /** Place of each operation among those to be tried, the likeliest first. */
  readonly #preference: readonly number[];
  readonly #isDeadEnd: (state: S) => boolean;
  readonly #reached = new Set<string>();
  /** Two random words for each operation; those of the placed ones, xored, name their set. */
  readonly #words: Int32Array;
  /** The nodes that got their states last, in a ring. */
  readonly #recent: (Node<S> | undefined)[] = [];
  #recentNext = 0;
  #steps = 0;
  #longest: Node<S>;

  constructor(history: readonly Operation<In>[], model: SequentialModel<S, In>, stepsMax: number) {
    this.#history = history;
    this.#model = model;
    this.#stepsMax = stepsMax;
    this.#pending = new Pending(history);
    this.#preference = preferences(history, model);
    this.#isDeadEnd = model.deadEnds?.(history) ?? (() => false);
    const random = seededRandom(history.length, "sets of operations");
    this.#words = Int32Array.from({ length: 2 * history.length }, () => random.int(0x1_0000_0000));
    this.#here = {
      parent: undefined,
      placed: -1,
      depth: 0,
      open: history.filter(({ output }) => output !== undefined).length,
      settled: 0,
      deviations: 0,
      high: 0,
      low: 0,
      candidates: undefined,
      tried: 0,
      fitted: 0,
      state: { state: model.initial },
    };
    this.#longest = this.#here;
  }

  run(): Found {
    this.#offer(this.#here);
    for (let chance = this.#chances.pop(); chance !== undefined; chance = this.#chances.pop()) {
      if (this.#longest.open === 0) return this.#end("order");
      if (this.#steps >= this.#stepsMax) return this.#end("steps-used-up");
      this.#extend(chance.node);
    }
    return this.#end(this.#longest.open === 0 ? "order" : "none");
  }

  #end(type: Found["type"]): Found {
    const order: number[] = [];
    for (let node = this.#longest; node.parent !== undefined; node = node.parent) order.push(node.placed);
    return { type, order: order.reverse(), steps: this.#steps };
  }

  #offer(node: Node<S>): void {
    const worth = node.settled - DEVIATION_COST * (node.deviations + node.fitted);
    this.#chances.push({ node, worth, sequence: this.#sequence++ });
  }

  /** Tries candidates up to the first that fits; the node keeps the others for later. */
  #extend(node: Node<S>): void {
    this.#moveTo(node);
    node.candidates ??= this.#candidates(node);
    for (
      let candidate = node.candidates[node.tried];
      candidate !== undefined;
      candidate = node.candidates[node.tried]
    ) {
      node.tried++;
      const child = this.#child(node, candidate);
      if (child === undefined) continue;
      node.fitted++;
      if (node.tried < node.candidates.length) this.#offer(node);
      this.#keepState(child);
      this.#moveTo(child);
      child.settled = this.#pending.settled();
      if (child.open < this.#longest.open) this.#longest = child;
      return this.#offer(child);
    }
  }

  /** A read that fits, alone; else all that may change something. */
  #candidates(node: Node<S>): readonly number[] {
    const candidates = this.#pending.candidates();
    const read = candidates.find((each) => this.#isRead(each) && this.#step(node, each) !== undefined);
    if (read !== undefined) return [read];
    const preference = (candidate: number): number => this.#preference[candidate] ?? 0;
    candidates.sort((a, b) => preference(a) - preference(b));
    const updates = candidates.filter((each) => !this.#isRead(each));
    // What was told something fits in few states, so that it likely belongs where it does.
    return [...updates.filter((each) => this.#isTelling(each)), ...updates.filter((each) => !this.#isTelling(each))];
  }

  #isTelling(candidate: number): boolean {
    const { output } = this.#operation(candidate);
    return output !== undefined && ("error" in output || output.value !== undefined);
  }

  /** Undefined when the candidate does not fit, or leads nowhere, or to where the search was before. */
  #child(node: Node<S>, candidate: number): Node<S> | undefined {
    const state = this.#step(node, candidate);
    if (state === undefined || this.#isDeadEnd(state.state)) return undefined;
    const high = node.high ^ (this.#words[2 * candidate] ?? 0);
    const low = node.low ^ (this.#words[2 * candidate + 1] ?? 0);
    if (!this.#isNew(`${high},${low},${this.#model.key(state.state)}`)) return undefined;
    return {
      parent: node,
      placed: candidate,
      depth: node.depth + 1,
      open: node.open - (this.#operation(candidate).output === undefined ? 0 : 1),
      settled: node.settled,
      deviations: node.deviations + node.fitted,
      high,
      low,
      candidates: undefined,
      tried: 0,
      fitted: 0,
      state,
    };
  }

  #isNew(key: string): boolean {
    const { size } = this.#reached;
    return this.#reached.add(key).size > size;
  }

  #isRead(candidate: number): boolean {
    const { input, output } = this.#operation(candidate);
    return this.#model.isRead(input, output);
  }

  /** The state after the candidate; undefined when the model answers otherwise than its caller was. */
  #step(node: Node<S>, candidate: number): { readonly state: S } | undefined {
    const { input, output } = this.#operation(candidate);
    this.#steps++;
    const [state, answer] = this.#model.step(this.#stateOf(node), input, output);
    return output === undefined || equalAnswers(output, answer) ? { state } : undefined;
  }

  #stateOf(node: Node<S>): S {
    if (node.state !== undefined) return node.state.state;
    const way: Node<S>[] = [];
    let from = node;
    for (; from.state === undefined && from.parent !== undefined; from = from.parent) way.push(from);
    assert(from.state !== undefined, "the initial state is never forgotten");
    let { state } = from.state;
    for (const each of way.reverse()) {
      const { input, output } = this.#operation(each.placed);
      this.#steps++;
      [state] = this.#model.step(state, input, output);
      each.state = { state };
      this.#keepState(each);
    }
    return state;
  }

  /** Lets the state go that was kept for longest, unless it is one to start from again. */
  #keepState(node: Node<S>): void {
    const oldest = this.#recent[this.#recentNext];
    if (oldest !== undefined && oldest.depth % CHECKPOINT_EVERY !== 0) oldest.state = undefined;
    this.#recent[this.#recentNext] = node;
    this.#recentNext = (this.#recentNext + 1) % STATES_KEPT_MAX;
  }

  /** Takes back what leads from the common ancestor to here, and takes what leads to the node. */
  #moveTo(node: Node<S>): void {
    const down: number[] = [];
    let target = node;
    let here = this.#here;
    while (target !== here) {
      if (here.depth >= target.depth && here.parent !== undefined) {
        this.#pending.putBack(here.placed);
        here = here.parent;
      } else {
        assert(target.parent !== undefined, "all nodes have the empty order as an ancestor");
        down.push(target.placed);
        target = target.parent;
      }
    }
    for (const operation of down.reverse()) this.#pending.take(operation);
    this.#here = node;
  }

  #operation(index: number): Operation<In> {
    const operation = this.#history[index];
    assert(operation !== undefined, "operations are indices of the history");
    return operation;
  }
}

/**
 * The place of each operation in the order that is tried first: by the estimated time of its effect, which is that of its return unless the model knows
 * better. What nobody saw and whose outcome is unknown comes last.
 */
function preferences<S, In>(history: readonly Operation<In>[], model: SequentialModel<S, In>): number[] {
  const estimates = model.estimates?.(history) ?? new Map<Operation<In>, number>();
  const ties = new Map([...estimates.keys()].map((operation, index) => [operation, index]));
  const guesses = history.map((operation, index) => ({
    index,
    at: estimates.get(operation) ?? operation.returnedAt ?? Number.POSITIVE_INFINITY,
    tie: ties.get(operation) ?? -1,
  }));
  guesses.sort((a, b) => (a.at === b.at ? a.tie - b.tie || a.index - b.index : a.at - b.at));
  const places = new Array<number>(history.length).fill(0);
  for (const [place, { index }] of guesses.entries()) places[index] = place;
  return places;
}
