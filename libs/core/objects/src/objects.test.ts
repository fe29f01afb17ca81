import { describe, expect, test } from "vitest";
import { type Command, type Effect, isWrite, Objects, type Operation, type Reply, type Verb, verbs } from "./index.ts";
import { testCodec } from "./testing/codec.ts";

const opening: Command = { type: "session-opened", nonce: "n", ttlMs: 2_000, description: "" };

describe("objects", () => {
  test("read what tells and waits without a change, and write everything else", () => {
    expect(verbs.filter((verb) => !isWrite(verb))).toEqual([
      ...["watch", "dict-get", "dict-has", "dict-size", "dict-keys", "dict-values", "dict-entries"],
      ...["list-at", "list-index", "list-count", "list-slice", "list-length", "cells-get", "cells-slice"],
      ...["queue-size", "queue-join", "pipe-poll", "lock-state", "semaphore-value", "condition-state"],
      ...["event-is-set", "event-wait", "barrier-state", "effects-settled", "effects-try"],
    ]);
  });

  test("take no verb the wrong way", () => {
    const objects = opened();
    expect(codes(ask(objects, [operation(1, "dict-get", "@d")]))).toEqual(["protocol"]);
    expect(codes(objects.read(1, 0, operation(2, "dict-set", "@d")))).toEqual(["protocol"]);
  });

  test("keep nothing of the frame that a value came in", () => {
    const objects = opened();
    const frame = new Uint8Array(100).fill(7);
    const spec = testCodec.encode({ kind: "list" });
    ask(objects, [operation(1, "create", "@l", [spec]), operation(2, "list-append", "@l", [frame.subarray(3, 4)])]);
    frame.fill(9);
    const [reply] = replies(objects.read(1, 0, operation(3, "list-at", "@l", [], [0])));
    expect(reply?.values).toEqual([Uint8Array.of(7)]);
    expect(reply?.values[0]?.buffer.byteLength).toBe(1);
  });

  test("count a revision for every operation, whatever becomes of it, and for every other command", () => {
    const objects = opened();
    expect(objects.revision).toBe(1);
    ask(objects, [operation(1, "list-append", "@none"), operation(1, "list-append", "@none")]);
    expect(objects.revision).toBe(3);
    ask(objects, [operation(2, "cancel", "@none")], { session: 77 });
    ask(objects, []);
    objects.step({ type: "owner-closed", session: 77, owner: 5 });
    expect(objects.revision).toBe(6);
  });

  test("drop as many replies as an acknowledgement names, however many that are", () => {
    const objects = opened();
    ask(objects, [operation(1, "cancel", ""), operation(2, "cancel", ""), operation(9, "cancel", "")]);
    ask(objects, [], { acknowledged: [2, 1e15] });
    const again = ask(objects, [operation(1, "cancel", ""), operation(2, "cancel", ""), operation(9, "cancel", "")]);
    expect(codes(again)).toEqual([undefined, "state", "state"]);
  });

  test("cut a large value into parts for a snapshot, and put it together again", () => {
    const objects = opened();
    const large = new Uint8Array(2_500_000).map((_, at) => at);
    const spec = testCodec.encode({ kind: "dict" });
    const key = testCodec.encode("k");
    ask(objects, [operation(1, "create", "@d", [spec]), operation(2, "dict-set", "@d", [key, large])]);
    const pieces = [...objects.snapshot()];
    expect(pieces.filter(({ type }) => type === "part")).toHaveLength(3);
    const restored = Objects.restore(pieces, { values: testCodec });
    restored.validate();
    const [reply] = replies(restored.read(1, 0, operation(3, "dict-get", "@d", [key])));
    expect(reply?.revision).toBe(3);
    expect(Buffer.compare(reply?.values[0] ?? new Uint8Array(), large)).toBe(0);
  });

  test("are not restored from half a snapshot", () => {
    const objects = opened();
    ask(objects, [operation(1, "create", "@l", [testCodec.encode({ kind: "list" }), testCodec.encode(1)])]);
    const pieces = [...objects.snapshot()];
    for (let kept = 0; kept < pieces.length; kept++)
      if (pieces[kept - 1]?.type === "object" || kept === 0)
        expect(() => Objects.restore(pieces.slice(0, kept), { values: testCodec })).toThrow("a snapshot has");
    expect(() => Objects.restore(pieces.slice(1), { values: testCodec })).toThrow("a snapshot begins with its state");
  });
});

function opened(): Objects {
  const objects = new Objects({ values: testCodec });
  objects.step(opening);
  return objects;
}

function ask(
  objects: Objects,
  operations: readonly Operation[],
  { session = 1, acknowledged = [] }: { readonly session?: number; readonly acknowledged?: readonly number[] } = {},
): readonly Effect[] {
  const effects = objects.step({ type: "operations-asked", session, owner: 0, acknowledged, operations });
  objects.validate();
  return effects;
}

function operation(
  seq: number,
  verb: Verb,
  object: string,
  values: readonly Uint8Array[] = [],
  numbers: readonly number[] = [],
): Operation {
  return { seq, verb, object, values, numbers, guards: [], operations: [], expectations: [] };
}

function replies(effects: readonly Effect[]): Reply[] {
  return effects.flatMap((effect) => (effect.type === "reply" ? [effect.reply] : []));
}

function codes(effects: readonly Effect[]): (string | undefined)[] {
  return replies(effects).map(({ refusal }) => refusal?.code);
}
