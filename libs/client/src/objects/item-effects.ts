import { HeddleError, objectText, StateError } from "@heddle/kernel";
import type { VerbName } from "@heddle/wire";
import type { AskingHome, CallEffects, OperationReply, OperationRequest } from "./channel.ts";
import { keyText } from "./keys.ts";
import { keysOf, onceWayOf, partOf } from "./once-verbs.ts";
import { OperationPromise } from "./operation-promise.ts";
import { askAgain } from "./retry.ts";
import { SharedObject } from "./shared-object.ts";
import { Unheard } from "./unheard.ts";

/** What must not have changed when effects count. */
export type Expected = NonNullable<OperationRequest["expectations"]>[number];

/** A write that was noted. */
interface Noted {
  readonly request: OperationRequest;
  /** Of a dict: the keys that it is about, as text; undefined for all of the object. */
  readonly keys: readonly string[] | undefined;
  /** The manager has refused it, or it comes to nothing. */
  isDropped: boolean;
}

/** What was written to one object and does not count yet, by items that run one after the other. */
export interface ObjectEffects {
  readonly noted: Noted[];
  /** Settled once what was asked of the object is answered: what is asked then knows what became of it. Never rejects. */
  tail: Promise<void> | undefined;
}

/** One operation under way that needs an answer. */
interface Question<T> {
  readonly request: OperationRequest;
  readonly read: (reply: OperationReply) => T;
  /** What was noted before it that it depends on. */
  readonly before: () => readonly OperationRequest[];
}

/**
 * What one item writes whose writes count once: they are noted, and answered as they would be. Reads are of things as they are, together with what this item, and those before it that do not
 * count yet, have written.
 */
export class ItemEffects implements CallEffects {
  readonly #objects: Map<string, ObjectEffects>;
  readonly #noted: Noted[] = [];
  readonly #expected = new Map<string, Expected>();
  readonly #pending = new Set<Promise<void>>();
  /** Handles whose objects must be there before anything counts. */
  readonly #handles = new Set<SharedObject>();
  readonly #unheard = new Unheard();
  #isOver = false;

  /** `objects`: what was written and does not count yet, by object. */
  constructor(objects: Map<string, ObjectEffects>) {
    this.#objects = objects;
  }

  /** Its writes, in order. */
  get operations(): readonly OperationRequest[] {
    return this.#noted.filter(({ isDropped }) => !isDropped).map(({ request }) => request);
  }

  /** What they depend on. */
  get expectations(): readonly Expected[] {
    return [...this.#expected.values()];
  }

  call<T>(home: AskingHome, request: OperationRequest, read: (reply: OperationReply) => T): Promise<T> {
    const { verb, handle } = request;
    if (this.#isOver) return tooLate(request); // said to whoever looks: no other item is to fail for it
    if (handle instanceof SharedObject && !handle.isCreated) this.#handles.add(handle);
    if (verb === "transaction") return this.#transaction(home, request, read);
    if (verb === "dict-replace") return this.#replace(request, read);
    const way = onceWayOf(verb);
    if (way === undefined) throw notInOnceError(verb, request.object);
    if (way.type === "read") return this.#look(home, request, read);
    const before = this.#before(request);
    const noted = this.#note(request);
    if (way.type === "blind") return settledWith(read, NO_REPLY);
    return this.#ask(home, { request, read, before }, (reply) => {
      if (reply === undefined || way.isVain?.(reply) === true) noted.isDropped = true;
      else if (way.type === "dependent") this.#expect(expectedOf(request, reply.revision));
    });
  }

  refusalOf(verb: VerbName, object: string): StateError {
    return notInOnceError(verb, object);
  }

  /** Nothing more is written. Resolves when it is known what became of all; rejects with the first refusal that nobody has looked at, and where an object could not be made. */
  async close(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending);
    this.#isOver = true;
    this.#unheard.raise();
    await Promise.all([...this.#handles].map((handle) => handle.created));
  }

  /** What it wrote never was. */
  drop(): void {
    this.#isOver = true;
    for (const noted of this.#noted) noted.isDropped = true;
  }

  #look<T>(home: AskingHome, request: OperationRequest, read: (reply: OperationReply) => T): Promise<T> {
    const { noted = [] } = this.#objects.get(request.object) ?? {};
    if (noted.every(({ isDropped }) => isDropped)) return home.live(request, read);
    return this.#ask(home, { request, read, before: this.#before(request) });
  }

  /** Its expectation says what its revision says: then it is a write like another. */
  #replace<T>(request: OperationRequest, read: (reply: OperationReply) => T): Promise<T> {
    const { object, values = [], numbers: [revision = 0] = [], handle } = request;
    this.#note({ verb: "dict-set", object, values, ...(handle === undefined ? {} : { handle }) });
    this.#expect(expectedOf(request, revision));
    return settledWith(read, { values: [], numbers: [1], revision: 0 });
  }

  /** One that writes nothing asks whether what it has read is as it was. */
  #transaction<T>(home: AskingHome, request: OperationRequest, read: (reply: OperationReply) => T): Promise<T> {
    const { operations = [], expectations = [] } = request;
    if (operations.length === 0) return home.live(request, read);
    for (const operation of operations) this.#note(operation);
    for (const expected of expectations) this.#expect(expected);
    return settledWith(read, NO_REPLY);
  }

  #note(request: OperationRequest): Noted {
    const noted = { request, keys: keysOf(request), isDropped: false };
    this.#noted.push(noted);
    this.#objectOf(request.object).noted.push(noted);
    return noted;
  }

  #expect(expected: Expected): void {
    const { object, key, revision } = expected;
    this.#expected.set(`${object} ${revision} ${keyText(key)}`, expected);
  }

  #objectOf(object: string): ObjectEffects {
    let effects = this.#objects.get(object);
    if (effects === undefined) {
      effects = { noted: [], tail: undefined };
      this.#objects.set(object, effects);
    }
    return effects;
  }

  /** What was noted so far that the operation depends on: where all of that is about keys, what is about its own. To be called once it is known what became of it. */
  #before(request: OperationRequest): () => readonly OperationRequest[] {
    const noted = [...this.#objectOf(request.object).noted];
    return () => {
      const valid = noted.filter(({ isDropped }) => !isDropped);
      const [key] = keysOf(request) ?? [];
      if (key === undefined || valid.some(({ keys }) => keys === undefined)) return valid.map((one) => one.request);
      return valid.filter(({ keys }) => keys?.includes(key)).map((one) => partOf(one.request, key));
    };
  }

  /** Asks what the answer would be, in the order in which an object was asked. `answered`: called without a reply when it is refused. */
  #ask<T>(
    home: AskingHome,
    { request, read, before }: Question<T>,
    answered: (reply: OperationReply | undefined) => void = ignore,
  ): Promise<T> {
    const promise = new OperationPromise<T>();
    const object = this.#objectOf(request.object);
    const { tail } = object;
    const fail = (error: unknown, isOurs: boolean): void => {
      const failure = { make: () => error, isOurs };
      promise.fail(failure);
      this.#unheard.note(promise, failure);
    };
    const asked = (async () => {
      await tail;
      let reply: OperationReply;
      try {
        reply = await askAgain(home, tryOf(request, before()));
        answered(reply);
      } catch (error) {
        answered(undefined);
        return fail(error, error instanceof HeddleError);
      }
      try {
        promise.fulfil(read(reply));
      } catch (error) {
        fail(error, false);
      }
    })();
    object.tail = asked;
    this.#pending.add(asked);
    void asked.then(() => {
      this.#pending.delete(asked);
      if (object.tail === asked) object.tail = undefined;
    });
    return promise;
  }
}

/** In a task whose writes count once, what concerns objects of another fabric: they are read as they are, and cannot be written. */
export const foreignEffects: CallEffects = {
  call: (home, request, read) => {
    if (onceWayOf(request.verb)?.type !== "read") throw foreignError(request);
    return home.live(request, read);
  },
  refusalOf: (_verb, object) => foreignError({ object }),
};

/** A read needs no trial where nothing was written before it. */
function tryOf(request: OperationRequest, before: readonly OperationRequest[]): OperationRequest {
  if (before.length === 0 && onceWayOf(request.verb)?.type === "read") return request;
  const { object, handle } = request;
  const operations = [...before, request];
  if (handle === undefined) return { verb: "effects-try", object, operations };
  return {
    ...{ verb: "effects-try", object, operations },
    handle: { explain: (refusal) => handle.explain(refusal, request) },
  };
}

function expectedOf({ verb, object, values = [] }: OperationRequest, revision: number): Expected {
  const isOfKey = onceWayOf(verb)?.about === "first-key" || verb === "dict-replace";
  return { object, key: (isOfKey ? values[0] : undefined) ?? WHOLE, revision };
}

function settledWith<T>(read: (reply: OperationReply) => T, reply: OperationReply): Promise<T> {
  const promise = new OperationPromise<T>();
  promise.fulfil(read(reply));
  return promise;
}

function tooLate<T>(request: OperationRequest): Promise<T> {
  const promise = new OperationPromise<T>();
  promise.fail({ make: () => overError(request), isOurs: true });
  return promise;
}

function notInOnceError(verb: VerbName, object: string): StateError {
  return new StateError(
    `${verb} on ${objectText(object)} is not for a call with effects: "once": what its items write to dicts, lists, namespaces, values and arrays counts once, and nothing else of shared objects does`,
  );
}

function overError({ verb, object }: OperationRequest): StateError {
  return new StateError(
    `${verb} on ${objectText(object)} came when its item was over: with effects: "once" an item awaits all that writes for it`,
  );
}

function foreignError({ object }: Pick<OperationRequest, "object">): StateError {
  return new StateError(
    `${objectText(object)} is of another fabric: in a call with effects: "once" it can be read, but what is written to it would not count once`,
  );
}

const WHOLE = new Uint8Array();
const NO_REPLY: OperationReply = { values: [], numbers: [], revision: 0 };
function ignore(): void {}
